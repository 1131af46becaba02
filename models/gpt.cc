#include "models/gpt.h"

#include <fmt/format.h>

#include "models/transformer.h"

namespace trireme::models {
namespace {

using core::ValueId;

void attention(NetBuilder& net, ResidualStream& stream, const GptOptions& o,
               const std::string& block) {
  const std::string name = block + "/attention";
  const ValueId x = stream.norm(block + "/norm1");
  const ValueId qkv = stream.project(name + "/qkv", x, 3 * o.width, {o.width, o.width, o.width});
  const ValueId y = net.attention(
      name, qkv, {.heads = o.heads, .kv_heads = o.heads, .head_dim = o.width / o.heads});
  stream.add(name, name + "/out", y);
}

void mlp(ResidualStream& stream, const GptOptions& o, const std::string& block) {
  const std::string name = block + "/mlp";
  const ValueId x = stream.norm(block + "/norm2");
  const ValueId hidden =
      stream.project(name + "/fc1", x, o.mlp_width(), {}, core::ActivationKind::kGeluTanh);
  stream.add(name, name + "/fc2", hidden);
}

}  // namespace

void gpt(NetBuilder& net, const GptOptions& o) {
  expect_tokens(net, "gpt", o.context);
  const Embedded embedded = net.embedding(o.vocabulary, o.width, o.context);
  ResidualStream stream(net,
                        {.norm = {.kind = core::NormOptions::kLayer, .epsilon = o.epsilon},
                         .bias = true,
                         .dropout = o.dropout,
                         .layers = o.layers,
                         .width = o.width},
                        embedded.y);
  for (int64_t i = 0; i < o.layers; ++i) {
    const std::string block = fmt::format("block{}", i);
    net.graph().set_block(block);
    attention(net, stream, o, block);
    mlp(stream, o, block);
  }
  net.graph().set_block("");
  language_head(net, stream, o.vocabulary, o.tied ? embedded.table : core::kNoValue);
}

}  // namespace trireme::models

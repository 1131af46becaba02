#include "models/llama.h"

#include <fmt/format.h>

#include "core/ops/swiglu.h"
#include "models/transformer.h"

namespace trireme::models {
namespace {

using core::ValueId;

void attention(NetBuilder& net, ResidualStream& stream, const LlamaOptions& o,
               const std::string& block) {
  const std::string name = block + "/attention";
  const int64_t head_dim = o.width / o.heads, kv_width = o.groups() * head_dim;
  const ValueId x = stream.norm(block + "/norm1");
  const ValueId qkv =
      stream.project(name + "/qkv", x, o.width + 2 * kv_width, {o.width, kv_width, kv_width});
  const ValueId turned = net.rotary(name + "/rotary", qkv,
                                    {.heads = o.heads + o.groups(),
                                     .total_heads = o.heads + 2 * o.groups(),
                                     .head_dim = head_dim,
                                     .theta = o.theta});
  const ValueId y =
      net.attention(name, turned, {.heads = o.heads, .kv_heads = o.groups(), .head_dim = head_dim});
  stream.add(name, name + "/out", y);
}

void mlp(NetBuilder& net, ResidualStream& stream, const LlamaOptions& o, const std::string& block) {
  const std::string name = block + "/mlp";
  const ValueId x = stream.norm(block + "/norm2");
  const ValueId gate_up = stream.project(name + "/gate_up", x, 2 * o.hidden, {o.hidden, o.hidden});
  stream.add(name, name + "/down",
             net.op(name + "/swiglu", std::make_shared<core::SwiGlu>(), {gate_up}));
}

}  // namespace

void llama(NetBuilder& net, const LlamaOptions& o) {
  expect_tokens(net, "llama", o.context);
  const Embedded embedded = net.embedding(o.vocabulary, o.width, 0);
  ResidualStream stream(net,
                        {.norm = {.kind = core::NormOptions::kRms, .epsilon = o.epsilon},
                         .bias = false,
                         .layers = o.layers,
                         .width = o.width},
                        embedded.y);
  for (int64_t i = 0; i < o.layers; ++i) {
    const std::string block = fmt::format("block{}", i);
    net.graph().set_block(block);
    attention(net, stream, o, block);
    mlp(net, stream, o, block);
  }
  net.graph().set_block("");
  language_head(net, stream, o.vocabulary, o.tied ? embedded.table : core::kNoValue);
}

}  // namespace trireme::models

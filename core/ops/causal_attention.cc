#include "core/ops/causal_attention.h"

#include <algorithm>

#include "core/cpu/flash_attention.h"
#include "core/graph/differentiate.h"
#include "core/graph/local_builder.h"
#include "core/ops/expect.h"

namespace trireme::core {
namespace {

constexpr int64_t kForwardProducts = 2;   // q k^T, P v
constexpr int64_t kBackwardProducts = 5;  // q k^T again, dy v^T, P^T dy, dS k, dS^T q

ValueType y_type(const AttentionShape& shape) {
  return {{shape.batch, shape.positions, shape.out_row()}, DType::kF32};
}

ValueType log_sum_exp_type(const AttentionShape& shape) {
  return {{shape.batch, shape.heads, shape.positions}, DType::kF32};
}

// Products only, over the pairs of positions that attend to each other.
Cost products_cost(const AttentionShape& shape, int64_t products, const NodeTypes& types) {
  const int64_t pairs = shape.positions * (shape.positions + 1) / 2;
  Cost cost{.flops = 2 * products * shape.batch * shape.heads * pairs * shape.head_dim, .bytes = 0};
  for (const ValueType& type : types.inputs) cost.bytes += type.bytes();
  for (const ValueType& type : types.outputs) cost.bytes += type.bytes();
  return cost;
}

}  // namespace

std::vector<ValueType> CausalAttention::infer(std::span<const ValueType> inputs) const {
  expect_count(type(), inputs, 1, 1);
  const AttentionShape shape = attention_shape(type(), options_, inputs[0]);
  return {y_type(shape), log_sum_exp_type(shape)};
}

void CausalAttention::gradient(GradientBuilder& builder) const {
  if (!builder.wants(0) || builder.output_gradient(0) == kNoValue) return;
  builder.emit("input", std::make_shared<CausalAttentionGrad>(options_),
               {builder.input(0), builder.output(0), builder.output(1), builder.output_gradient(0)},
               {0});
}

// Heads are independent: each rank has some key heads and the query heads that attend to them.
std::vector<ShardingRule> CausalAttention::shardings(const ShardingRequest& request) const {
  const int64_t queries = options_.heads * options_.head_dim;
  const int64_t keys = options_.kv_heads * options_.head_dim;
  const ShardingRule by_heads{{Sharding::split(request.inputs[0].shape, -1, {queries, keys, keys})},
                              {Sharding::split(request.outputs[0].shape, -1),
                               Sharding::split(request.outputs[1].shape, 1)}};
  return {whole_rule(request), by_heads};
}

OpPtr CausalAttention::local(const LocalBuilder& builder) const {
  if (!builder.rule().inputs[0].is_split()) return nullptr;
  const int size = builder.place().size;
  expect_divides(type(), "heads", options_.heads, size);
  expect_divides(type(), "key and value heads", options_.kv_heads, size);
  AttentionOptions options = options_;
  options.heads /= size;
  options.kv_heads /= size;
  return std::make_shared<CausalAttention>(options);
}

Cost CausalAttention::cost(const NodeTypes& types) const {
  return products_cost(attention_shape(type(), options_, types.inputs[0]), kForwardProducts, types);
}

// CPU: the blocks of each worker, of which there is at most one a sample and head.
int64_t CausalAttention::workspace_cap(const NodeTypes& types, DeviceKind device) const {
  if (device == DeviceKind::kCuda) return 0;
  const AttentionShape shape = attention_shape(type(), options_, types.inputs[0]);
  return std::min(shape.batch * shape.heads, kMostAttentionWorkers) *
         flash_forward_bytes(shape.head_dim);
}

std::vector<ValueType> CausalAttentionGrad::infer(std::span<const ValueType> inputs) const {
  expect_count(type(), inputs, 4, 4);
  const AttentionShape shape = attention_shape(type(), options_, inputs[0]);
  expect_type(type(), "y", inputs[1], y_type(shape), "as qkv and the heads have it");
  expect_type(type(), "log_sum_exp", inputs[2], log_sum_exp_type(shape), "one a score row");
  expect_type(type(), "dy", inputs[3], inputs[1], "as y is");
  return {inputs[0]};
}

Cost CausalAttentionGrad::cost(const NodeTypes& types) const {
  return products_cost(attention_shape(type(), options_, types.inputs[0]), kBackwardProducts,
                       types);
}

// CPU: the blocks of each worker, of which there is at most one a sample and key head. CUDA:
// rowsum(dy y).
int64_t CausalAttentionGrad::workspace_cap(const NodeTypes& types, DeviceKind device) const {
  if (device == DeviceKind::kCuda) return types.inputs[2].bytes();
  const AttentionShape shape = attention_shape(type(), options_, types.inputs[0]);
  return std::min(shape.batch * shape.kv_heads, kMostAttentionWorkers) *
         flash_backward_bytes(shape.head_dim);
}

}  // namespace trireme::core

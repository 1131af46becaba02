#include "core/ops/cached_attention.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/cpu/flash_attention.h"
#include "core/ops/expect.h"

namespace trireme::core {

ValueType CachedAttention::cache_type(int64_t batch) const {
  return {{batch, max_positions_, 2 * options_.kv_heads * options_.head_dim}, DType::kF32};
}

std::vector<ValueType> CachedAttention::infer(std::span<const ValueType> inputs) const {
  expect_count(type(), inputs, 3, 3);
  const AttentionShape shape = attention_shape(type(), options_, inputs[0]);
  if (max_positions_ < shape.positions)
    fail("[{}] expects max_positions of at least the {} new positions, got {}", type(),
         shape.positions, max_positions_);
  expect_type(type(), "cache", inputs[1], cache_type(shape.batch), "for qkv and max_positions");
  expect_type(type(), "positions", inputs[2], {{shape.batch}, DType::kI32}, "one a sample");
  return {{{shape.batch, shape.positions, shape.out_row()}, DType::kF32}};
}

// As if the cache were full.
Cost CachedAttention::cost(const NodeTypes& types) const {
  const AttentionShape shape = attention_shape(type(), options_, types.inputs[0]);
  const int64_t pairs = shape.batch * shape.heads * shape.positions * max_positions_;
  return {.flops = 4 * pairs * shape.head_dim,
          .bytes = types.inputs[0].bytes() + types.inputs[1].bytes() + types.outputs[0].bytes()};
}

int64_t CachedAttention::workspace_cap(const NodeTypes& types, DeviceKind device) const {
  if (device == DeviceKind::kCuda) return 0;
  const AttentionShape shape = attention_shape(type(), options_, types.inputs[0]);
  return std::min(shape.batch * shape.heads, kMostAttentionWorkers) *
         flash_forward_bytes(shape.head_dim);
}

}  // namespace trireme::core

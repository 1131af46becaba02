// Attention of new positions to a cache of keys and values, which it also extends: generation.
//
//   qkv        (B, S, (heads + 2 kv_heads) D), f32: S new positions, as in causal_attention.h
//   cache      (B, max_positions, 2 kv_heads D), f32: a row is all key heads, then all value heads
//   positions  (B), i32: how many positions of the sample the cache holds already
//   y          (B, S, heads D), f32
//
// THE OP WRITES ITS INPUT 1: rows positions[b] .. positions[b] + S - 1 of sample b become the new
// keys and values, before new position s attends to rows 0 .. positions[b] + s. Rows past those are
// not read. The cache is a value of Role::kState, and no other node of the step may use it.
//
// A sample whose new positions do not fit (positions[b] < 0 or positions[b] + S > max_positions)
// leaves the cache alone and its y is NaN. No gradient.
// Throws InvalidArgument as attention_shape does, or if the operands do not fit together.
#pragma once

#include "core/graph/op.h"
#include "core/ops/attention_shape.h"

namespace trireme::core {

class CachedAttention : public Op {
 public:
  CachedAttention(AttentionOptions options, int64_t max_positions)
      : options_(options), max_positions_(max_positions) {}
  const AttentionOptions& options() const { return options_; }
  int64_t max_positions() const { return max_positions_; }

  std::string_view type() const override { return "cached_attention"; }
  std::vector<ValueType> infer(std::span<const ValueType> inputs) const override;
  Cost cost(const NodeTypes& types) const override;
  int64_t workspace_cap(const NodeTypes&, DeviceKind) const override;
  std::unique_ptr<Kernel> cpu_kernel(const NodeTypes&, const KernelContext&) const override;
  std::unique_ptr<Kernel> cuda_kernel(const NodeTypes&, const KernelContext&) const override;

  // The type of the cache for `batch` samples.
  ValueType cache_type(int64_t batch) const;

 private:
  AttentionOptions options_;
  int64_t max_positions_;
};

}  // namespace trireme::core

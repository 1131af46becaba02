// y_i = sum_{j <= i} softmax_j(scale q_i . k_j) v_j for each head: each position attends to
// itself and to those before it.
//
//   qkv          (B, S, (heads + 2 kv_heads) D), f32; attention_shape.h says what lies where
//   y            (B, S, heads D), f32: the heads side by side
//   log_sum_exp  (B, heads, S), f32: of each row of scaled scores, kept for backward
//
// Works in blocks and never holds a matrix of S x S scores: the softmax of a row is corrected as
// its blocks come in.
// Throws InvalidArgument as attention_shape does.
// Source: Vaswani et al., Attention Is All You Need (2017), section 3.2; Dao et al.,
// FlashAttention (2022), algorithms 1 and 4.
#pragma once

#include "core/graph/op.h"
#include "core/ops/attention_shape.h"

namespace trireme::core {

class CausalAttention : public Op {
 public:
  explicit CausalAttention(AttentionOptions options) : options_(options) {}
  const AttentionOptions& options() const { return options_; }

  std::string_view type() const override { return "causal_attention"; }
  std::vector<ValueType> infer(std::span<const ValueType> inputs) const override;
  void gradient(GradientBuilder& builder) const override;
  std::vector<ShardingRule> shardings(const ShardingRequest& request) const override;
  OpPtr local(const LocalBuilder& builder) const override;
  Cost cost(const NodeTypes& types) const override;
  int64_t workspace_cap(const NodeTypes&, DeviceKind) const override;
  std::unique_ptr<Kernel> cpu_kernel(const NodeTypes&, const KernelContext&) const override;
  std::unique_ptr<Kernel> cuda_kernel(const NodeTypes&, const KernelContext&) const override;

 private:
  AttentionOptions options_;
};

// With P = exp(scale q k^T - log_sum_exp) made again, block by block:
//   dv = P^T dy,  dS = scale P (dy v^T - rowsum(dy y)),  dq = dS k,  dk = dS^T q
//
//   qkv, y, log_sum_exp as above, dy (B, S, heads D)   ->   dqkv, of qkv's shape
//
// The gradients of a key head are added up over its query heads in their order: the same bits
// whatever the threads.
class CausalAttentionGrad : public Op {
 public:
  explicit CausalAttentionGrad(AttentionOptions options) : options_(options) {}
  const AttentionOptions& options() const { return options_; }

  std::string_view type() const override { return "causal_attention_grad"; }
  std::vector<ValueType> infer(std::span<const ValueType> inputs) const override;
  Cost cost(const NodeTypes& types) const override;
  int64_t workspace_cap(const NodeTypes&, DeviceKind) const override;
  std::unique_ptr<Kernel> cpu_kernel(const NodeTypes&, const KernelContext&) const override;
  std::unique_ptr<Kernel> cuda_kernel(const NodeTypes&, const KernelContext&) const override;

 private:
  AttentionOptions options_;
};

}  // namespace trireme::core

// loss = sum_r w_r sum_c q_rc (log sum_j exp(x_rj) - x_rc), with its softmax fused.
//
//   x       (rows..., C), f32: the logits
//   labels  (rows...), i32; a row whose label is ignore_index counts for nothing
//   weight  (B), f32, optional: of each sample; row r belongs to sample r / (rows / B)
//   sums    (2), f64: the loss above, and the sum of the weights of the rows that count; accumulate
//   lse     (rows...), f32: log-sum-exp of each row, kept for backward
//
// q is the label's one-hot row, smoothed: (1 - s) onehot + s / C.
// Throws InvalidArgument if the shapes differ, C is 0, or s is outside [0, 1).
// Source: Goodfellow et al., Deep Learning (2016), section 4.1; Szegedy et al., Rethinking the
// Inception Architecture (2016), section 7, for smoothing.
#pragma once

#include "core/graph/op.h"

namespace trireme::core {

struct SoftmaxCrossEntropyOptions {
  float label_smoothing = 0;
  int32_t ignore_index = -100;

  bool operator==(const SoftmaxCrossEntropyOptions&) const = default;
};

class SoftmaxCrossEntropy : public Op {
 public:
  explicit SoftmaxCrossEntropy(SoftmaxCrossEntropyOptions options) : options_(options) {}

  std::string_view type() const override { return "softmax_cross_entropy"; }
  std::vector<ValueType> infer(std::span<const ValueType> inputs) const override;
  void gradient(GradientBuilder& builder) const override;
  std::vector<ShardingRule> shardings(const ShardingRequest& request) const override;
  std::vector<ValueId> emit_local(LocalBuilder& builder) const override;
  Cost cost(const NodeTypes& types) const override;
  int64_t workspace_cap(const NodeTypes&, DeviceKind) const override;
  bool accumulates() const override { return true; }
  std::unique_ptr<Kernel> cpu_kernel(const NodeTypes&, const KernelContext&) const override;
  std::unique_ptr<Kernel> cuda_kernel(const NodeTypes&, const KernelContext&) const override;

 private:
  SoftmaxCrossEntropyOptions options_;
};

// dx[r, c] = seed w_r (softmax(x)[r, c] - q[r, c]);   x, labels, weight, lse  ->  dx, which may
// take over x's memory
class SoftmaxCrossEntropyGrad : public Op {
 public:
  SoftmaxCrossEntropyGrad(SoftmaxCrossEntropyOptions options, float seed)
      : options_(options), seed_(seed) {}

  std::string_view type() const override { return "softmax_cross_entropy_grad"; }
  std::vector<ValueType> infer(std::span<const ValueType> inputs) const override;
  Cost cost(const NodeTypes& types) const override;
  int may_overwrite() const override { return 0; }
  std::unique_ptr<Kernel> cpu_kernel(const NodeTypes&, const KernelContext&) const override;
  std::unique_ptr<Kernel> cuda_kernel(const NodeTypes&, const KernelContext&) const override;

 private:
  SoftmaxCrossEntropyOptions options_;
  float seed_;
};

}  // namespace trireme::core

// loss = sum_b w_b mean_i (x[b, i] - target[b, i])^2.
//
//   x, target  (B, ...), f32
//   weight     (B), f32, optional: of each sample
//   sums       (2), f64: the loss above, and the sum of the weights; accumulate
#pragma once

#include "core/graph/op.h"

namespace trireme::core {

class MeanSquaredError : public Op {
 public:
  std::string_view type() const override { return "mean_squared_error"; }
  std::vector<ValueType> infer(std::span<const ValueType> inputs) const override;
  void gradient(GradientBuilder& builder) const override;
  Cost cost(const NodeTypes& types) const override;
  int64_t workspace_cap(const NodeTypes&, DeviceKind) const override;
  bool accumulates() const override { return true; }
  std::unique_ptr<Kernel> cpu_kernel(const NodeTypes&, const KernelContext&) const override;
  std::unique_ptr<Kernel> cuda_kernel(const NodeTypes&, const KernelContext&) const override;
};

// dx[b, i] = seed w_b 2 (x - target) / (elements of a sample);   x, target, weight  ->  dx, which
// may take over x's memory
class MeanSquaredErrorGrad : public Op {
 public:
  explicit MeanSquaredErrorGrad(float seed) : seed_(seed) {}

  std::string_view type() const override { return "mean_squared_error_grad"; }
  std::vector<ValueType> infer(std::span<const ValueType> inputs) const override;
  Cost cost(const NodeTypes& types) const override;
  int may_overwrite() const override { return 0; }
  std::unique_ptr<Kernel> cpu_kernel(const NodeTypes&, const KernelContext&) const override;
  std::unique_ptr<Kernel> cuda_kernel(const NodeTypes&, const KernelContext&) const override;

 private:
  float seed_;
};

}  // namespace trireme::core

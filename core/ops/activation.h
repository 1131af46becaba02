// y = f(x), elementwise.
//
//   relu       max(x, 0); its derivative at 0 is 0
//   gelu       x * (1 + erf(x / sqrt 2)) / 2
//   gelu_tanh  0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
//   tanh, sigmoid
//   silu       x / (1 + e^-x)
//
// Source: Hendrycks and Gimpel, Gaussian Error Linear Units (2016), for both forms of GELU and for
// SiLU.
#pragma once

#include "core/base/activation_kind.h"
#include "core/graph/op.h"

namespace trireme::core {

//   x  (...), f32   ->   y  (...), dtype of x
class Activation : public Op {
 public:
  explicit Activation(ActivationKind kind) : kind_(kind) {}
  ActivationKind kind() const { return kind_; }

  std::string_view type() const override { return name_of(kind_); }
  std::vector<ValueType> infer(std::span<const ValueType> inputs) const override;
  void gradient(GradientBuilder& builder) const override;
  std::vector<ShardingRule> shardings(const ShardingRequest& request) const override;
  Cost cost(const NodeTypes& types) const override;
  // Only where the derivative does not need x.
  int may_overwrite() const override { return needs_input_for_gradient(kind_) ? -1 : 0; }
  std::unique_ptr<Kernel> cpu_kernel(const NodeTypes&, const KernelContext&) const override;
  std::unique_ptr<Kernel> cuda_kernel(const NodeTypes&, const KernelContext&) const override;

 private:
  ActivationKind kind_;
};

// dx = dy * f'(.), from `saved`: x where needs_input_for_gradient(kind), else y.
//
//   dy     (...), f32
//   saved  (...), f32   ->   dx  (...), f32; may take over dy's memory
class ActivationGrad : public Op {
 public:
  explicit ActivationGrad(ActivationKind kind) : kind_(kind) {}
  ActivationKind kind() const { return kind_; }

  std::string_view type() const override { return "activation_grad"; }
  std::vector<ValueType> infer(std::span<const ValueType> inputs) const override;
  Cost cost(const NodeTypes& types) const override;
  int may_overwrite() const override { return 0; }
  std::unique_ptr<Kernel> cpu_kernel(const NodeTypes&, const KernelContext&) const override;
  std::unique_ptr<Kernel> cuda_kernel(const NodeTypes&, const KernelContext&) const override;

 private:
  ActivationKind kind_;
};

}  // namespace trireme::core

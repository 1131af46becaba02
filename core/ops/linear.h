// y = f(x W^T + b), the product, bias and activation in one kernel where the library can.
//
//   x  (..., I), f32
//   W  (O, I), f32
//   b  (O), f32, optional
//   y  (..., O), f32
//   z  (..., O), the pre-activation; a second output only where f's derivative needs it (GELU,
//   SiLU)
//
// With operands in bf16 or f16 the products take x, W and dz rounded; sums, b and db are f32. Of
// f16, dz is multiplied by StepState::loss_scale before it is rounded, and the product by its
// inverse: as if the loss had been scaled, since all between two products is f32.
//
// Throws InvalidArgument if I or O is 0 or differ between operands.
#pragma once

#include "core/base/activation_kind.h"
#include "core/graph/op.h"

namespace trireme::core {

struct LinearOptions {
  ActivationKind activation = ActivationKind::kNone;
  DType operands = DType::kF32;

  bool operator==(const LinearOptions&) const = default;
};

class Linear : public Op {
 public:
  explicit Linear(LinearOptions options) : options_(options) {}
  const LinearOptions& options() const { return options_; }
  DType operands() const override { return options_.operands; }
  OpPtr with_operands(DType operands) const override;

  std::string_view type() const override { return "linear"; }
  std::vector<ValueType> infer(std::span<const ValueType> inputs) const override;
  void gradient(GradientBuilder& builder) const override;
  std::vector<ShardingRule> shardings(const ShardingRequest& request) const override;
  std::vector<ValueId> emit_local(LocalBuilder& builder) const override;
  Cost cost(const NodeTypes& types) const override;
  int64_t workspace_cap(const NodeTypes&, DeviceKind) const override;
  int64_t prepared_cap(const NodeTypes&, DeviceKind) const override;
  std::unique_ptr<Kernel> cpu_kernel(const NodeTypes&, const KernelContext&) const override;
  std::unique_ptr<Kernel> cuda_kernel(const NodeTypes&, const KernelContext&) const override;

 private:
  LinearOptions options_;
};

// dx = dz W.    dz (..., O), W (O, I)   ->   dx (..., I)
class LinearGradInput : public Op {
 public:
  explicit LinearGradInput(DType operands = DType::kF32) : operands_(operands) {}
  DType operands() const override { return operands_; }

  std::string_view type() const override { return "linear_grad_input"; }
  std::vector<ValueType> infer(std::span<const ValueType> inputs) const override;
  Cost cost(const NodeTypes& types) const override;
  int64_t workspace_cap(const NodeTypes&, DeviceKind) const override;
  int64_t prepared_cap(const NodeTypes&, DeviceKind) const override;
  std::unique_ptr<Kernel> cpu_kernel(const NodeTypes&, const KernelContext&) const override;
  std::unique_ptr<Kernel> cuda_kernel(const NodeTypes&, const KernelContext&) const override;

 private:
  DType operands_;
};

// dW = dz^T x, db = sum of dz's rows.
//
//   dz (..., O), x (..., I)   ->   dW (O, I) and, with a bias, db (O); both accumulate
class LinearGradWeight : public Op {
 public:
  explicit LinearGradWeight(bool has_bias, DType operands = DType::kF32)
      : has_bias_(has_bias), operands_(operands) {}
  DType operands() const override { return operands_; }

  std::string_view type() const override { return "linear_grad_weight"; }
  std::vector<ValueType> infer(std::span<const ValueType> inputs) const override;
  Cost cost(const NodeTypes& types) const override;
  int64_t workspace_cap(const NodeTypes&, DeviceKind) const override;
  bool accumulates() const override { return true; }
  std::unique_ptr<Kernel> cpu_kernel(const NodeTypes&, const KernelContext&) const override;
  std::unique_ptr<Kernel> cuda_kernel(const NodeTypes&, const KernelContext&) const override;

 private:
  bool has_bias_;
  DType operands_;
};

}  // namespace trireme::core

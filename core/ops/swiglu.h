// y = silu(gate) * up, where x = [gate, up] along the last axis and silu(g) = g / (1 + e^-g).
//
//   x  (..., 2F), f32: gate is x[..., :F], up is x[..., F:]
//   y  (..., F), f32
//
// Throws InvalidArgument if the last axis is 0 or odd.
// Source: Shazeer, GLU Variants Improve Transformer (2020).
#pragma once

#include "core/graph/op.h"

namespace trireme::core {

class SwiGlu : public Op {
 public:
  std::string_view type() const override { return "swiglu"; }
  std::vector<ValueType> infer(std::span<const ValueType> inputs) const override;
  void gradient(GradientBuilder& builder) const override;
  std::vector<ShardingRule> shardings(const ShardingRequest& request) const override;
  Cost cost(const NodeTypes& types) const override;
  std::unique_ptr<Kernel> cpu_kernel(const NodeTypes&, const KernelContext&) const override;
  std::unique_ptr<Kernel> cuda_kernel(const NodeTypes&, const KernelContext&) const override;
};

// dx = [dy up silu'(gate), dy silu(gate)].
//
//   dy (..., F), x (..., 2F)   ->   dx (..., 2F), which may take over x's memory
class SwiGluGrad : public Op {
 public:
  std::string_view type() const override { return "swiglu_grad"; }
  std::vector<ValueType> infer(std::span<const ValueType> inputs) const override;
  Cost cost(const NodeTypes& types) const override;
  int may_overwrite() const override { return 1; }
  std::unique_ptr<Kernel> cpu_kernel(const NodeTypes&, const KernelContext&) const override;
  std::unique_ptr<Kernel> cuda_kernel(const NodeTypes&, const KernelContext&) const override;
};

}  // namespace trireme::core

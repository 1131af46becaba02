// y = factor * x, elementwise.
#pragma once

#include "core/graph/op.h"

namespace trireme::core {

//   x  (...), f32   ->   y  (...), f32; may take over x's memory
class Scale : public Op {
 public:
  explicit Scale(float factor) : factor_(factor) {}
  float factor() const { return factor_; }

  std::string_view type() const override { return "scale"; }
  std::vector<ValueType> infer(std::span<const ValueType> inputs) const override;
  void gradient(GradientBuilder& builder) const override;
  std::vector<ShardingRule> shardings(const ShardingRequest& request) const override;
  Cost cost(const NodeTypes& types) const override;
  int may_overwrite() const override { return 0; }
  std::unique_ptr<Kernel> cpu_kernel(const NodeTypes&, const KernelContext&) const override;
  std::unique_ptr<Kernel> cuda_kernel(const NodeTypes&, const KernelContext&) const override;

 private:
  float factor_;
};

}  // namespace trireme::core

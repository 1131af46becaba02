// y = a + b, elementwise; both of one shape.
#pragma once

#include "core/graph/op.h"

namespace trireme::core {

//   a, b  (...), f32   ->   y  (...), f32; may take over a's memory
class Add : public Op {
 public:
  std::string_view type() const override { return "add"; }
  std::vector<ValueType> infer(std::span<const ValueType> inputs) const override;
  void gradient(GradientBuilder& builder) const override;
  std::vector<ShardingRule> shardings(const ShardingRequest& request) const override;
  Cost cost(const NodeTypes& types) const override;
  int may_overwrite() const override { return 0; }
  std::unique_ptr<Kernel> cpu_kernel(const NodeTypes&, const KernelContext&) const override;
  std::unique_ptr<Kernel> cuda_kernel(const NodeTypes&, const KernelContext&) const override;
};

}  // namespace trireme::core

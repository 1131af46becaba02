// The same elements in the same order under another shape: a view, which moves nothing.
#pragma once

#include "core/graph/op.h"

namespace trireme::core {

//   x  (B, ...)   ->   y  (B, dims...); one of dims may be -1 ("what is left")
// Dropping the batch dimension from `dims` keeps a graph valid at any micro-batch.
// Throws InvalidArgument if the element counts differ.
class Reshape : public Op {
 public:
  explicit Reshape(std::vector<int64_t> dims) : dims_(std::move(dims)) {}

  std::string_view type() const override { return "reshape"; }
  std::vector<ValueType> infer(std::span<const ValueType> inputs) const override;
  void gradient(GradientBuilder& builder) const override;
  std::vector<ShardingRule> shardings(const ShardingRequest& request) const override;
  Cost cost(const NodeTypes&) const override { return {}; }
  int view_of() const override { return 0; }
  // A view runs no kernel: both throw SystemError if called.
  std::unique_ptr<Kernel> cpu_kernel(const NodeTypes&, const KernelContext&) const override;
  std::unique_ptr<Kernel> cuda_kernel(const NodeTypes&, const KernelContext&) const override;

 private:
  std::vector<int64_t> dims_;
};

}  // namespace trireme::core

// How many rows have their label as the largest logit (the first of equals).
//
//   x       (rows..., C), f32
//   labels  (rows...), i32; a row whose label is ignore_index counts for nothing
//   weight  (B), f32, optional: of each sample
//   sums    (2), f64: the sum of the weights of the rows that are right, and of all; accumulate
#pragma once

#include "core/graph/op.h"

namespace trireme::core {

class Accuracy : public Op {
 public:
  explicit Accuracy(int32_t ignore_index = -100) : ignore_index_(ignore_index) {}

  std::string_view type() const override { return "accuracy"; }
  std::vector<ValueType> infer(std::span<const ValueType> inputs) const override;
  std::vector<ShardingRule> shardings(const ShardingRequest& request) const override;
  std::vector<ValueId> emit_local(LocalBuilder& builder) const override;
  Cost cost(const NodeTypes& types) const override;
  int64_t workspace_cap(const NodeTypes&, DeviceKind) const override;
  bool accumulates() const override { return true; }
  std::unique_ptr<Kernel> cpu_kernel(const NodeTypes&, const KernelContext&) const override;
  std::unique_ptr<Kernel> cuda_kernel(const NodeTypes&, const KernelContext&) const override;

 private:
  int32_t ignore_index_;
};

}  // namespace trireme::core

// Ops that only tests have, evaluated on the host wherever the op under test runs.
#pragma once

#include "core/graph/op.h"
#include "tests/support/host_tensor.h"

namespace trireme::test {

class HostOp : public core::Op {
 public:
  core::Cost cost(const core::NodeTypes&) const override { return {}; }
  std::unique_ptr<core::Kernel> cpu_kernel(const core::NodeTypes&,
                                           const core::KernelContext&) const override;
  std::unique_ptr<core::Kernel> cuda_kernel(const core::NodeTypes&,
                                            const core::KernelContext&) const override;

  virtual std::vector<HostTensor> evaluate(const std::vector<HostTensor>& inputs) const = 0;
};

// y = p: makes an activation of a parameter, so that an op sees it as coming from another node.
class Source : public HostOp {
 public:
  std::string_view type() const override { return "source"; }
  std::vector<core::ValueType> infer(std::span<const core::ValueType> inputs) const override;
  void gradient(core::GradientBuilder& builder) const override;
  bool accumulates() const override { return true; }  // it is its own weight-backward op
  std::vector<HostTensor> evaluate(const std::vector<HostTensor>& inputs) const override;
};

// sums = (sum_i direction_i y_i, 1): turns any output into a loss.
class Projection : public HostOp {
 public:
  std::string_view type() const override { return "projection"; }
  std::vector<core::ValueType> infer(std::span<const core::ValueType> inputs) const override;
  void gradient(core::GradientBuilder& builder) const override;
  bool accumulates() const override { return true; }
  std::vector<HostTensor> evaluate(const std::vector<HostTensor>& inputs) const override;
};

// dy = seed direction
class ProjectionGrad : public HostOp {
 public:
  explicit ProjectionGrad(float seed) : seed_(seed) {}
  std::string_view type() const override { return "projection_grad"; }
  std::vector<core::ValueType> infer(std::span<const core::ValueType> inputs) const override;
  std::vector<HostTensor> evaluate(const std::vector<HostTensor>& inputs) const override;

 private:
  float seed_;
};

}  // namespace trireme::test

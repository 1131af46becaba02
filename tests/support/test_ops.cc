#include "tests/support/test_ops.h"

#include "core/base/error.h"
#include "core/graph/differentiate.h"

namespace trireme::test {

using core::ValueType;

std::unique_ptr<core::Kernel> HostOp::cpu_kernel(const core::NodeTypes&,
                                                 const core::KernelContext&) const {
  throw SystemError("a test's op runs on the host");
}
std::unique_ptr<core::Kernel> HostOp::cuda_kernel(const core::NodeTypes&,
                                                  const core::KernelContext&) const {
  throw SystemError("a test's op runs on the host");
}

std::vector<ValueType> Source::infer(std::span<const ValueType> inputs) const {
  return {inputs[0]};
}
void Source::gradient(core::GradientBuilder& builder) const {
  builder.emit("parameter", std::make_shared<Source>(), {builder.output_gradient(0)}, {0});
}
std::vector<HostTensor> Source::evaluate(const std::vector<HostTensor>& inputs) const {
  return {inputs[0]};
}

std::vector<ValueType> Projection::infer(std::span<const ValueType>) const {
  return {{{2}, core::DType::kF64}};
}
void Projection::gradient(core::GradientBuilder& builder) const {
  builder.emit("input", std::make_shared<ProjectionGrad>(builder.loss_seed()), {builder.input(1)},
               {0});
}
std::vector<HostTensor> Projection::evaluate(const std::vector<HostTensor>& inputs) const {
  double sum = 0;
  for (size_t i = 0; i < inputs[0].values.size(); ++i)
    sum += inputs[0].values[i] * inputs[1].values[i];
  return {tensor_of(core::DType::kF64, {2}, {sum, 1})};
}

std::vector<ValueType> ProjectionGrad::infer(std::span<const ValueType> inputs) const {
  return {inputs[0]};
}
std::vector<HostTensor> ProjectionGrad::evaluate(const std::vector<HostTensor>& inputs) const {
  std::vector<double> values = inputs[0].values;
  for (double& value : values) value *= seed_;
  return {tensor_of(core::DType::kF32, inputs[0].type.shape, std::move(values))};
}

}  // namespace trireme::test

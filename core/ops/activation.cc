#include "core/ops/activation.h"

#include "core/graph/differentiate.h"
#include "core/ops/expect.h"

namespace trireme::core {
namespace {

// A polynomial exponential and what is around it; counted once, as nobody counts otherwise.
constexpr int64_t kFlopsOfSmooth = 20;

int64_t flops_of(ActivationKind kind, int64_t elements) {
  return elements * (kind <= ActivationKind::kRelu ? 1 : kFlopsOfSmooth);
}

}  // namespace

std::vector<ValueType> Activation::infer(std::span<const ValueType> inputs) const {
  expect_count(type(), inputs, 1, 1);
  expect_dtype(type(), "x", inputs[0], DType::kF32);
  return {inputs[0]};
}

void Activation::gradient(GradientBuilder& builder) const {
  const ValueId saved = needs_input_for_gradient(kind_) ? builder.input(0) : builder.output(0);
  builder.emit("input", std::make_shared<ActivationGrad>(kind_),
               {builder.output_gradient(0), saved}, {0});
}

std::vector<ShardingRule> Activation::shardings(const ShardingRequest& request) const {
  return elementwise_shardings(request, kind_ == ActivationKind::kNone);
}

Cost Activation::cost(const NodeTypes& types) const {
  const ValueType& x = types.inputs[0];
  return {.flops = flops_of(kind_, x.elements()), .bytes = 2 * x.bytes()};
}

std::vector<ValueType> ActivationGrad::infer(std::span<const ValueType> inputs) const {
  expect_count(type(), inputs, 2, 2);
  expect_dtype(type(), "dy", inputs[0], DType::kF32);
  expect_type(type(), "the saved value", inputs[1], inputs[0], "as dy is");
  return {inputs[0]};
}

Cost ActivationGrad::cost(const NodeTypes& types) const {
  const ValueType& dy = types.inputs[0];
  return {.flops = flops_of(kind_, dy.elements()) + dy.elements(), .bytes = 3 * dy.bytes()};
}

}  // namespace trireme::core

#include "core/ops/scale.h"

#include "core/graph/differentiate.h"
#include "core/ops/expect.h"

namespace trireme::core {

std::vector<ValueType> Scale::infer(std::span<const ValueType> inputs) const {
  expect_count(type(), inputs, 1, 1);
  expect_dtype(type(), "x", inputs[0], DType::kF32);
  return {inputs[0]};
}

void Scale::gradient(GradientBuilder& builder) const {
  builder.emit("input", std::make_shared<Scale>(factor_), {builder.output_gradient(0)}, {0});
}

std::vector<ShardingRule> Scale::shardings(const ShardingRequest& request) const {
  return elementwise_shardings(request, true);
}

Cost Scale::cost(const NodeTypes& types) const {
  return {.flops = types.inputs[0].elements(), .bytes = 2 * types.inputs[0].bytes()};
}

}  // namespace trireme::core

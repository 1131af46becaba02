#include "core/ops/add.h"

#include "core/graph/differentiate.h"
#include "core/ops/expect.h"

namespace trireme::core {

std::vector<ValueType> Add::infer(std::span<const ValueType> inputs) const {
  expect_count(type(), inputs, 2, 2);
  expect_dtype(type(), "a", inputs[0], DType::kF32);
  expect_type(type(), "b", inputs[1], inputs[0], "as a is");
  return {inputs[0]};
}

void Add::gradient(GradientBuilder& builder) const {
  for (int i : {0, 1})
    if (builder.wants(i)) builder.pass(i, builder.output_gradient(0));
}

std::vector<ShardingRule> Add::shardings(const ShardingRequest& request) const {
  return elementwise_shardings(request, true);
}

Cost Add::cost(const NodeTypes& types) const {
  return {.flops = types.inputs[0].elements(), .bytes = 3 * types.inputs[0].bytes()};
}

}  // namespace trireme::core

#include "core/ops/swiglu.h"

#include "core/base/error.h"
#include "core/graph/differentiate.h"
#include "core/ops/expect.h"

namespace trireme::core {
namespace {

constexpr int64_t kFlopsPerResult = 22;  // a polynomial exponential, a division, the products

void expect_halves(std::string_view op, const ValueType& x) {
  if (x.dtype != DType::kF32 || x.shape.rank() == 0 || x.shape[-1] == 0 || x.shape[-1] % 2 != 0)
    fail("[{}] expects x f32(..., 2F), F at least 1, got {}", op, x.str());
}

ValueType half_of(const ValueType& x) {
  return {x.shape.with_dim(-1, x.shape[-1] / 2), DType::kF32};
}

}  // namespace

std::vector<ValueType> SwiGlu::infer(std::span<const ValueType> inputs) const {
  expect_count(type(), inputs, 1, 1);
  expect_halves(type(), inputs[0]);
  return {half_of(inputs[0])};
}

void SwiGlu::gradient(GradientBuilder& builder) const {
  builder.emit("input", std::make_shared<SwiGluGrad>(),
               {builder.output_gradient(0), builder.input(0)}, {0});
}

// Gate and up are cut alike, each on its own.
std::vector<ShardingRule> SwiGlu::shardings(const ShardingRequest& request) const {
  const Shape &x = request.inputs[0].shape, &y = request.outputs[0].shape;
  return {{{Sharding::rows()}, {Sharding::rows()}},
          whole_rule(request),
          {{Sharding::split(x, -1, {y[-1], y[-1]})}, {Sharding::split(y, -1)}}};
}

Cost SwiGlu::cost(const NodeTypes& types) const {
  const ValueType& y = types.outputs[0];
  return {.flops = kFlopsPerResult * y.elements(), .bytes = 3 * y.bytes()};
}

std::vector<ValueType> SwiGluGrad::infer(std::span<const ValueType> inputs) const {
  expect_count(type(), inputs, 2, 2);
  expect_halves(type(), inputs[1]);
  expect_type(type(), "dy", inputs[0], half_of(inputs[1]), "half of x");
  return {inputs[1]};
}

Cost SwiGluGrad::cost(const NodeTypes& types) const {
  const ValueType& dy = types.inputs[0];
  return {.flops = (kFlopsPerResult + 6) * dy.elements(), .bytes = 5 * dy.bytes()};
}

}  // namespace trireme::core

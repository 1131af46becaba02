#include "core/ops/norm.h"

#include "core/base/error.h"
#include "core/graph/differentiate.h"
#include "core/ops/expect.h"
#include "core/ops/norm_rows.h"

namespace trireme::core {
namespace {

constexpr int64_t kForwardFlops = 8;  // an element: two sums, the scaling, weight and bias
constexpr int64_t kBackwardFlops = 11;

Cost cost_of(const NodeTypes& types, int64_t flops) {
  Cost cost{.flops = flops * types.inputs[0].elements(), .bytes = 0};
  for (const ValueType& type : types.inputs) cost.bytes += type.bytes();
  for (const ValueType& type : types.outputs) cost.bytes += type.bytes();
  return cost;
}

ValueType statistics_type(const NormOptions& options, const ValueType& x) {
  return {x.shape.with_dim(-1, options.kind == NormOptions::kLayer ? 2 : 1), DType::kF32};
}

void expect_rows(std::string_view op, std::string_view what, const ValueType& x) {
  if (x.dtype != DType::kF32 || x.shape.rank() == 0 || x.shape[-1] == 0)
    fail("[{}] expects {} f32(..., H), H at least 1, got {}", op, what, x.str());
}

ValueType width_of(const ValueType& x) { return {{x.shape[-1]}, DType::kF32}; }

}  // namespace

std::vector<ValueType> Norm::infer(std::span<const ValueType> inputs) const {
  expect_count(type(), inputs, 2, 4);
  const ValueType& x = inputs[0];
  expect_rows(type(), "x", x);
  if (!(options_.epsilon > 0)) fail("[{}] expects epsilon > 0, got {}", type(), options_.epsilon);
  expect_type(type(), "weight", inputs[1], width_of(x), "one an element of x's rows");
  if (const ValueType bias = operand(inputs, 2); bias.present())
    expect_type(type(), "bias", bias, width_of(x), "one an element of x's rows");
  const ValueType statistics = statistics_type(options_, x);
  const ValueType residual = operand(inputs, 3);
  if (!residual.present()) return {x, statistics};
  expect_type(type(), "residual", residual, x, "as x is");
  return {x, statistics, x};
}

void Norm::gradient(GradientBuilder& builder) const {
  const bool has_residual = builder.has_input(3);
  const ValueId dy = builder.output_gradient(0);
  if (dy == kNoValue) fail("[{}] has no gradient where its first output is unused", type());
  const ValueId s = has_residual ? builder.output(2) : builder.input(0);
  const bool wants_residual = has_residual && builder.wants(3);
  if (builder.wants(0) || wants_residual) {
    const ValueId later = has_residual ? builder.output_gradient(2) : kNoValue;
    const ValueId ds =
        builder.emit_intermediate("input", std::make_shared<NormGrad>(options_, later != kNoValue),
                                  {dy, s, builder.input(1), builder.output(1), later})[0];
    if (builder.wants(0)) builder.pass(0, ds);
    if (wants_residual) builder.pass(3, ds);
  }
  const bool wants_bias = builder.has_input(2) && builder.wants(2);
  if (!builder.wants(1) && !wants_bias) return;
  builder.emit("weight", std::make_shared<NormGradWeight>(options_, wants_bias),
               {dy, s, builder.output(1)},
               wants_bias ? std::vector<int>{1, 2} : std::vector<int>{1});
}

std::vector<ShardingRule> Norm::shardings(const ShardingRequest& request) const {
  const Sharding rows = Sharding::rows(), shared = Sharding::shared();
  ShardingRule by_rows{{rows, shared, shared, rows}, {rows, rows, rows}};
  by_rows.inputs.resize(request.inputs.size());
  by_rows.outputs.resize(request.outputs.size());
  return {by_rows, whole_rule(request)};
}

Cost Norm::cost(const NodeTypes& types) const { return cost_of(types, kForwardFlops); }

std::vector<ValueType> NormGrad::infer(std::span<const ValueType> inputs) const {
  expect_count(type(), inputs, 5, 5);
  const ValueType& dy = inputs[0];
  expect_rows(type(), "dy", dy);
  expect_type(type(), "s", inputs[1], dy, "as dy is");
  expect_type(type(), "weight", inputs[2], width_of(dy), "one an element of dy's rows");
  expect_type(type(), "statistics", inputs[3], statistics_type(options_, dy), "one set a row");
  if (inputs[4].present() != has_later_)
    fail("[{}] expects {} gradient of s, got {}", type(), has_later_ ? "a" : "no", inputs[4].str());
  if (has_later_) expect_type(type(), "the gradient of s", inputs[4], dy, "as dy is");
  return {dy};
}

Cost NormGrad::cost(const NodeTypes& types) const { return cost_of(types, kBackwardFlops); }

std::vector<ValueType> NormGradWeight::infer(std::span<const ValueType> inputs) const {
  expect_count(type(), inputs, 3, 3);
  const ValueType& dy = inputs[0];
  expect_rows(type(), "dy", dy);
  expect_type(type(), "s", inputs[1], dy, "as dy is");
  expect_type(type(), "statistics", inputs[2], statistics_type(options_, dy), "one set a row");
  if (has_bias_) return {width_of(dy), width_of(dy)};
  return {width_of(dy)};
}

Cost NormGradWeight::cost(const NodeTypes& types) const { return cost_of(types, 5); }

// CUDA: both sums of each part of the rows.
int64_t NormGradWeight::workspace_cap(const NodeTypes& types, DeviceKind device) const {
  if (device == DeviceKind::kCpu) return 0;
  return 2 * norm_row_parts(NormRows(options_, types.inputs[0]).rows) * types.outputs[0].bytes();
}

}  // namespace trireme::core

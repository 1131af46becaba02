#include "core/ops/mean_squared_error.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/cuda/partial_sums.h"
#include "core/graph/differentiate.h"
#include "core/ops/expect.h"

namespace trireme::core {
namespace {

void expect_operands(std::string_view op, std::span<const ValueType> inputs) {
  expect_count(op, inputs, 2, 3);
  expect_dtype(op, "x", inputs[0], DType::kF32);
  expect_type(op, "target", inputs[1], inputs[0], "as x is");
  if (inputs[0].shape.rank() == 0 || inputs[0].elements() == 0)
    fail("[{}] expects x (B, ...) that is not empty, got {}", op, inputs[0].str());
  expect_sample_weight(op, operand(inputs, 2), inputs[0].shape[0]);
}

}  // namespace

std::vector<ValueType> MeanSquaredError::infer(std::span<const ValueType> inputs) const {
  expect_operands(type(), inputs);
  return {sums_type()};
}

void MeanSquaredError::gradient(GradientBuilder& builder) const {
  const ValueId weight = builder.has_input(2) ? builder.input(2) : kNoValue;
  const auto op = std::make_shared<MeanSquaredErrorGrad>(builder.loss_seed());
  if (builder.wants(0))
    builder.emit("input", op, {builder.input(0), builder.input(1), weight}, {0});
  if (builder.wants(1))
    builder.emit("target", op, {builder.input(1), builder.input(0), weight}, {1});
}

Cost MeanSquaredError::cost(const NodeTypes& types) const {
  return {.flops = 3 * types.inputs[0].elements(), .bytes = 2 * types.inputs[0].bytes()};
}

// CPU: one term a sample, then added in order. CUDA: one pair a block.
int64_t MeanSquaredError::workspace_cap(const NodeTypes& types, DeviceKind device) const {
  if (device == DeviceKind::kCuda) return kPartialSumBytes;
  return types.inputs[0].shape[0] * static_cast<int64_t>(sizeof(double));
}

std::vector<ValueType> MeanSquaredErrorGrad::infer(std::span<const ValueType> inputs) const {
  expect_operands(type(), inputs);
  return {inputs[0]};
}

Cost MeanSquaredErrorGrad::cost(const NodeTypes& types) const {
  return {.flops = 2 * types.inputs[0].elements(), .bytes = 3 * types.inputs[0].bytes()};
}

}  // namespace trireme::core

#include "core/ops/linear.h"

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "tests/support/op_check.h"
#include "tests/support/references.h"

namespace trireme::test {
namespace {

using core::ActivationKind;
using core::DType;
using core::Linear;
using core::Shape;
using core::ValueType;

std::vector<std::vector<double>> reference(ActivationKind kind,
                                           const std::vector<HostTensor>& inputs) {
  const HostTensor &x = inputs[0], &weight = inputs[1];
  const int64_t out = weight.type.shape[0], in = weight.type.shape[1], rows = x.size() / in;
  std::vector<double> y, z;
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t o = 0; o < out; ++o) {
      double sum = inputs.size() > 2 && inputs[2].present() ? inputs[2].values[o] : 0;
      for (int64_t i = 0; i < in; ++i) sum += x.values[r * in + i] * weight.values[o * in + i];
      z.push_back(sum);
      y.push_back(activate(kind, sum));
    }
  if (core::needs_input_for_gradient(kind)) return {y, z};
  return {y};
}

OpCase linear_case(Shape x, int64_t out, bool bias, ActivationKind kind) {
  Random random(static_cast<uint64_t>(x.elements() * 31 + out));
  const int64_t in = x[-1];
  OpCase op_case{
      .name = fmt::format("linear {} to {}, bias {}, {}", x.str(), out, bias, core::name_of(kind)),
      .op = std::make_shared<Linear>(core::LinearOptions{.activation = kind}),
      .inputs = {random.normal(x), random.normal(Shape{out, in}, 0.5),
                 bias ? random.normal(Shape{out}) : absent()},
      .reference = [kind](const auto& inputs) { return reference(kind, inputs); }};
  op_case.activations = {0};
  op_case.parameters = {1};
  if (bias) op_case.parameters.push_back(2);
  return op_case;
}

TEST(Linear, AgreesWithLoops) {
  for (int threads : {1, 2, 3}) {
    auto device = make_cpu_op_device(threads);
    check_op(*device, linear_case({1, 1}, 1, true, ActivationKind::kNone));
    check_op(*device, linear_case({7, 13}, 11, true, ActivationKind::kNone));
    check_op(*device, linear_case({7, 13}, 11, false, ActivationKind::kNone));
    check_op(*device, linear_case({17}, 5, true, ActivationKind::kNone));
    check_op(*device, linear_case({2, 3, 5}, 67, true, ActivationKind::kNone));
    check_op(*device, linear_case({31, 42}, 10, true, ActivationKind::kNone));
    check_forward(*device, linear_case({130, 65}, 129, true, ActivationKind::kNone));
  }
}

// More rows, and more outputs, than a block of the product holds.
TEST(Linear, WorksInBlocks) {
  check_op(*make_cpu_op_device(3), linear_case({515, 2}, 101, true, ActivationKind::kNone));
}

TEST(Linear, FusesActivations) {
  auto device = make_cpu_op_device(2);
  for (ActivationKind kind :
       {ActivationKind::kTanh, ActivationKind::kSigmoid, ActivationKind::kSilu,
        ActivationKind::kGelu, ActivationKind::kGeluTanh}) {
    check_op(*device, linear_case({7, 13}, 11, true, kind));
    check_op(*device, linear_case({3, 37}, 1, false, kind));
  }
}

// Whole numbers and halves: no pre-activation lies near the kink of relu.
TEST(Linear, FusesRelu) {
  auto device = make_cpu_op_device(2);
  OpCase op_case = linear_case({7, 13}, 11, true, ActivationKind::kRelu);
  for (int i : {0, 1})
    for (double& value : op_case.inputs[i].values) value = std::round(value * 3);
  for (double& value : op_case.inputs[2].values) value = std::round(value) + 0.5;
  check_op(*device, op_case);
}

TEST(Linear, PreparesAgainAfterAnUpdate) {
  check_prepares_again(linear_case({64, 96}, 80, true, ActivationKind::kNone));
}

TEST(Linear, RefusesWhatDoesNotFit) {
  const Linear op({});
  const auto f32 = [](Shape shape) { return ValueType{shape, DType::kF32}; };
  expect_refusal(op, {f32({3, 5}), f32({4, 6})},
                 "[linear] expects x f32(..., I) and W f32(O, I), none empty, got x f32(3, 5) and "
                 "W f32(4, 6)");
  expect_refusal(op, {f32({3, 5}), f32({0, 5})},
                 "[linear] expects x f32(..., I) and W f32(O, I), none empty, got x f32(3, 5) and "
                 "W f32(0, 5)");
  expect_refusal(op, {f32({}), f32({4, 1})},
                 "[linear] expects x f32(..., I) and W f32(O, I), none empty, got x f32() and "
                 "W f32(4, 1)");
  expect_refusal(op, {{{3, 5}, DType::kI32}, f32({4, 5})},
                 "[linear] expects x f32(..., I) and W f32(O, I), none empty, got x i32(3, 5) and "
                 "W f32(4, 5)");
  expect_refusal(op, {f32({3, 5}), f32({4, 5}), f32({5})}, "[linear] expects b f32(4), got f32(5)");
  expect_refusal(op, {f32({3, 5})}, "[linear] expects inputs x, W and perhaps b, got 1 inputs");
  expect_refusal(core::LinearGradInput(), {f32({3, 4}), f32({5, 6})},
                 "[linear_grad_input] expects dz f32(..., O) and W f32(O, I), none empty, got dz "
                 "f32(3, 4) and W f32(5, 6)");
  expect_refusal(core::LinearGradWeight(true), {f32({3, 4}), f32({2, 6})},
                 "[linear_grad_weight] expects dz f32(..., O) and x f32(..., I), none empty, got "
                 "dz f32(3, 4) and x f32(2, 6)");
}

TEST(Linear, CountsItsWork) {
  const ValueType x{{8, 5}, DType::kF32}, w{{3, 5}, DType::kF32}, y{{8, 3}, DType::kF32};
  const std::vector<ValueType> inputs{x, w}, outputs{y};
  const core::Cost cost = Linear({}).cost({inputs, outputs});
  EXPECT_EQ(cost.flops, 2 * 8 * 5 * 3);
  EXPECT_EQ(cost.bytes, 4 * (8 * 5 + 3 * 5 + 8 * 3));
}

}  // namespace
}  // namespace trireme::test

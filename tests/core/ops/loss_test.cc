// What the losses and the metric do with rows that do not count, and with what is not finite.
#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "core/ops/accuracy.h"
#include "core/ops/mean_squared_error.h"
#include "core/ops/softmax_cross_entropy.h"
#include "tests/support/op_check.h"
#include "tests/support/references.h"

namespace trireme::test {
namespace {

using core::DType;
using core::SoftmaxCrossEntropy;
using core::SoftmaxCrossEntropyGrad;
using testing::Each;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
const core::ValueType kLogits{{4, 3}, DType::kF32}, kLabels{{4}, DType::kI32};

class Losses : public testing::Test {
 protected:
  std::vector<HostTensor> run(const core::Op& op, const std::vector<HostTensor>& inputs) {
    return run_op(*device_, op, inputs);
  }
  static std::vector<double> row(const HostTensor& matrix, int64_t r) {
    const int64_t width = matrix.type.shape[-1];
    return {matrix.values.begin() + r * width, matrix.values.begin() + (r + 1) * width};
  }

  std::unique_ptr<OpDevice> device_ = make_cpu_op_device(1);
  HostTensor x_ = Random(1).normal({4, 3});
};

TEST_F(Losses, AnInvalidLabelMakesTheStepNonFinite) {
  for (double label : {3.0, -1.0, 2147483647.0, -2147483648.0}) {
    const HostTensor labels = tensor_of(DType::kI32, {4}, {0, label, 2, 1});
    const auto loss = run(SoftmaxCrossEntropy({}), {x_, labels});
    EXPECT_TRUE(std::isnan(loss[0].values[0])) << label;
    EXPECT_EQ(loss[0].values[1], 4);
    const auto dx = run(SoftmaxCrossEntropyGrad({}, 1), {x_, labels, absent(), loss[1]});
    EXPECT_TRUE(std::isnan(row(dx[0], 1)[0]));
    EXPECT_TRUE(std::isfinite(row(dx[0], 2)[0]));
    EXPECT_LE(run(core::Accuracy(), {x_, labels})[0].values[0], 3);
  }
}

TEST_F(Losses, AnIgnoredRowCountsForNothing) {
  const HostTensor labels = tensor_of(DType::kI32, {4}, {0, 7, 2, 1});
  const core::SoftmaxCrossEntropyOptions options{.ignore_index = 7};
  const auto loss = run(SoftmaxCrossEntropy(options), {x_, labels});
  EXPECT_TRUE(std::isfinite(loss[0].values[0]));
  EXPECT_EQ(loss[0].values[1], 3);
  const auto dx = run(SoftmaxCrossEntropyGrad(options, 1), {x_, labels, absent(), loss[1]});
  EXPECT_THAT(row(dx[0], 1), Each(0.0));
}

// Padding may hold anything: labels out of range, logits that are not numbers.
TEST_F(Losses, ASampleOfWeightZeroMayHoldAnything) {
  const HostTensor labels = tensor_of(DType::kI32, {4}, {0, 99, 2, 1});
  const HostTensor weight = tensor_of(DType::kF32, {4}, {1, 0, 1, 1});
  for (int64_t c = 3; c < 6; ++c) x_.values[c] = kNan;
  const auto loss = run(SoftmaxCrossEntropy({}), {x_, labels, weight});
  EXPECT_TRUE(std::isfinite(loss[0].values[0]));
  EXPECT_EQ(loss[0].values[1], 3);
  const auto dx = run(SoftmaxCrossEntropyGrad({}, 1), {x_, labels, weight, loss[1]});
  EXPECT_THAT(row(dx[0], 1), Each(0.0));
  EXPECT_EQ(run(core::Accuracy(), {x_, labels, weight})[0].values[1], 3);

  const HostTensor target = Random(2).normal({4, 3});
  const auto mse = run(core::MeanSquaredError(), {x_, target, weight});
  EXPECT_TRUE(std::isfinite(mse[0].values[0]));
  EXPECT_THAT(row(run(core::MeanSquaredErrorGrad(1), {x_, target, weight})[0], 1), Each(0.0));
}

TEST_F(Losses, LogitsThatAreNotNumbersShow) {
  const HostTensor labels = tensor_of(DType::kI32, {4}, {0, 1, 2, 1});
  for (double value : {kNan, HUGE_VAL}) {
    x_.values[4] = value;
    EXPECT_FALSE(std::isfinite(run(SoftmaxCrossEntropy({}), {x_, labels})[0].values[0]));
  }
}

// e^90 is no f32, and a row shifted by a constant has the same loss.
TEST_F(Losses, LargeLogitsDoNotOverflow) {
  const HostTensor labels = tensor_of(DType::kI32, {4}, {0, 1, 2, 1});
  HostTensor large = x_;
  for (double& value : large.values) value = std::round(value * 8) + 1000;
  HostTensor small = large;
  for (double& value : small.values) value -= 1000;
  const double want = run(SoftmaxCrossEntropy({}), {small, labels})[0].values[0];
  EXPECT_NEAR(run(SoftmaxCrossEntropy({}), {large, labels})[0].values[0], want, 1e-5 * want);
}

TEST_F(Losses, TheFirstOfEqualLogitsIsTheAnswer) {
  const HostTensor x = tensor_of(DType::kF32, {2, 3}, {1, 5, 5, 5, 5, 1});
  const auto right = [&](double first, double second) {
    return run(core::Accuracy(), {x, tensor_of(DType::kI32, {2}, {first, second})})[0].values[0];
  };
  EXPECT_EQ(right(1, 0), 2);
  EXPECT_EQ(right(2, 1), 0);
}

TEST_F(Losses, RefuseWhatDoesNotFit) {
  const SoftmaxCrossEntropy loss({});
  expect_refusal(loss, {kLogits}, "[softmax_cross_entropy] expects 2 to 3 inputs, got 1");
  expect_refusal(loss, {{{4, 0}, DType::kF32}, kLabels},
                 "[softmax_cross_entropy] expects x (rows..., C) with C at least 1, got f32(4, 0)");
  expect_refusal(loss, {kLogits, {{3}, DType::kI32}},
                 "[softmax_cross_entropy] expects labels i32(4), one a row of x, got i32(3)");
  expect_refusal(loss, {kLogits, kLabels, {{3}, DType::kF32}},
                 "[softmax_cross_entropy] expects weight (B), B dividing the 4 rows, got f32(3)");
  expect_refusal(SoftmaxCrossEntropy({.label_smoothing = 1}), {kLogits, kLabels},
                 "[softmax_cross_entropy] expects 0 <= label_smoothing < 1, got 1");
  expect_refusal(core::Accuracy(), {kLabels, kLabels},
                 "[accuracy] expects x of dtype f32, got i32(4)");
  expect_refusal(core::MeanSquaredError(), {kLogits, {{3, 4}, DType::kF32}},
                 "[mean_squared_error] expects target f32(4, 3), as x is, got f32(3, 4)");
}

}  // namespace
}  // namespace trireme::test

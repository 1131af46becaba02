// Norm, control and update kernels on the CPU: against PyTorch (tests/goldens/optim.py), and what a
// step that must not be applied leaves behind.
#include "core/optim/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "core/base/error.h"
#include "tests/support/golden.h"

namespace trireme::test {
namespace {

using core::ControlOptions;
using core::OptimizerOptions;
using core::StepState;
using core::UpdateRange;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// A flat buffer with its moments, and the three kernels that end a step.
class FlatBuffer {
 public:
  FlatBuffer(const OptimizerOptions& optimizer, const ControlOptions& control,
             const std::vector<UpdateRange>& ranges, std::vector<float> initial, int threads = 1)
      : parameters(std::move(initial)),
        moment1(parameters.size()),
        moment2(parameters.size()),
        moments_(core::moment_count(optimizer)) {
    const core::KernelContext context{.threads = threads};
    const auto cpu = core::DeviceKind::kCpu;
    update_ = make_update_kernel(cpu, optimizer, ranges, context);
    norm_ = make_norm_kernel(cpu, static_cast<int64_t>(parameters.size()), context);
    control_ = make_control_kernel(cpu, control, context);
  }

  void step(const std::vector<float>& gradients, const std::vector<double>& control) {
    double sum_of_squares = 0;
    norm_->run(gradients.data(), &sum_of_squares, false, {});
    control_->run(control.data(), &sum_of_squares, &state, {});
    update_->run({.parameters = parameters.data(),
                  .gradients = gradients.data(),
                  .moment1 = moments_ > 0 ? moment1.data() : nullptr,
                  .moment2 = moments_ > 1 ? moment2.data() : nullptr,
                  .step = &state});
  }

  StepState state;
  std::vector<float> parameters, moment1, moment2;

 private:
  int moments_;
  std::unique_ptr<core::UpdateKernel> update_;
  std::unique_ptr<core::NormKernel> norm_;
  std::unique_ptr<core::ControlKernel> control_;
};

std::vector<double> doubles(const std::vector<float>& values) {
  return {values.begin(), values.end()};
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

std::vector<float> normal(int64_t count, uint64_t seed) {
  const HostTensor drawn = Random(seed).normal({count});
  return {drawn.values.begin(), drawn.values.end()};
}

TEST(Optimizer, FollowsPyTorchForFiveSteps) {
  const std::vector<GoldenUpdates> cases = read_golden_updates();
  ASSERT_GE(cases.size(), 12u);
  for (const GoldenUpdates& golden : cases) {
    FlatBuffer buffer(golden.optimizer, golden.control, golden.ranges, golden.initial);
    for (size_t i = 0; i < golden.gradients.size(); ++i) {
      buffer.step(golden.gradients[i], {12.5, golden.count, 0});
      EXPECT_EQ(difference(doubles(buffer.parameters), doubles(golden.expected[i]), 1e-6), "")
          << golden.name << ", step " << i + 1;
    }
    EXPECT_EQ(buffer.state.applied_steps, 5);
  }
}

TEST(Optimizer, TouchesNothingOutsideItsRanges) {
  const std::vector<UpdateRange> ranges = {{2, 5}, {5, 6}, {6, 6}, {11, 40}};
  const std::vector<float> initial = normal(41, 1);
  for (const OptimizerOptions& options :
       {OptimizerOptions(core::SgdOptions{.momentum = 0.9f, .weight_decay = 0.1f}),
        OptimizerOptions(core::AdamOptions{.weight_decay = 0.1f})}) {
    FlatBuffer buffer(options, {.schedule = {.base_lr = 0.1f}, .beta1 = 0.9f, .beta2 = 0.999f},
                      ranges, initial);
    buffer.step(normal(41, 2), {1, 1, 0});
    for (int i = 0; i < 41; ++i) {
      const bool inside = (i >= 2 && i < 6) || (i >= 11 && i < 40);
      EXPECT_EQ(buffer.parameters[i] != initial[i], inside) << i;
      EXPECT_EQ(buffer.moment1[i] != 0, inside) << i;
    }
  }
}

// Long ranges cut into pieces that do not end where ranges do.
TEST(Optimizer, ThreadsDoNotChangeABit) {
  constexpr int64_t kCount = 100'003;
  const std::vector<UpdateRange> ranges = {
      {0, 10, 0.1f, 1}, {16, 50'001, 0.1f, 2}, {50'001, 50'002, 0, 1}, {60'000, kCount, 0, 1}};
  std::vector<FlatBuffer> buffers;
  for (int threads : {1, 2, 3, 7}) {
    FlatBuffer& buffer = buffers.emplace_back(
        core::AdamOptions{.weight_decay = 0.1f},
        ControlOptions{
            .schedule = {.base_lr = 0.1f}, .clip_norm = 1, .beta1 = 0.9f, .beta2 = 0.999f},
        ranges, normal(kCount, 3), threads);
    for (uint64_t i = 0; i < 2; ++i) buffer.step(normal(kCount, 4 + i), {1, 1, 0});
    EXPECT_TRUE(same_bits(buffer.parameters, buffers.front().parameters)) << threads;
    EXPECT_TRUE(same_bits(buffer.moment2, buffers.front().moment2)) << threads;
    EXPECT_EQ(buffer.state.grad_norm, buffers.front().state.grad_norm) << threads;
  }
}

TEST(Optimizer, RefusesRangesThatOverlapOrAreOutOfOrder) {
  const std::vector<std::vector<UpdateRange>> bad = {
      {{0, 5}, {4, 8}}, {{6, 8}, {0, 5}}, {{5, 3}}, {{-1, 3}}};
  for (const auto& ranges : bad)
    EXPECT_THROW(make_update_kernel(core::DeviceKind::kCpu, core::SgdOptions{}, ranges, {}),
                 InvalidArgument);
}

TEST(Optimizer, SaysWhatMomentsAndDecayItHas) {
  EXPECT_EQ(core::moment_count(core::SgdOptions{}), 0);
  EXPECT_EQ(core::moment_count(core::SgdOptions{.momentum = 0.5f}), 1);
  EXPECT_EQ(core::moment_count(core::AdamOptions{}), 2);
  EXPECT_EQ(core::weight_decay(core::SgdOptions{.weight_decay = 0.5f}), 0.5f);
  EXPECT_EQ(core::weight_decay(core::AdamOptions{.weight_decay = 0.25f}), 0.25f);
}

// Padding is zero, so a norm that reads past the end, or misses the last block, shows.
TEST(Norm, IsTheSumOfSquaresInDouble) {
  for (int64_t count : {1, 17, 4095, 4096, 4097, 20'001}) {
    const std::vector<float> gradients = normal(count, 9);
    double want = 0;
    for (double g : gradients) want += g * g;
    double sum = 1e9;
    const auto kernel = make_norm_kernel(core::DeviceKind::kCpu, count, {.threads = 2});
    kernel->run(gradients.data(), &sum, false, {});
    EXPECT_NEAR(sum, want, 1e-12 * want);
    kernel->run(gradients.data(), &sum, true, {});
    EXPECT_NEAR(sum, 2 * want, 1e-12 * want);
  }
}

class RefusedStep : public testing::Test {
 protected:
  FlatBuffer buffer_{core::AdamOptions{.weight_decay = 0.1f},
                     {.schedule = {.base_lr = 0.1f},
                      .loss_count = 2,
                      .nominal_count = 8,
                      .beta1 = 0.9f,
                      .beta2 = 0.999f},
                     {{0, 33}},
                     normal(33, 5)};
  std::vector<float> gradients_ = normal(33, 6);

  // The step leaves every bit as it was; the next good one is step 2 of the optimizer.
  void expect_refused(const std::vector<double>& control) {
    buffer_.step(normal(33, 7), {1, 8, 1, 8, 0});
    const FlatBuffer* before = &buffer_;
    const auto parameters = before->parameters, m = before->moment1, v = before->moment2;
    buffer_.step(gradients_, control);
    EXPECT_EQ(buffer_.state.apply, 0);
    EXPECT_EQ(buffer_.state.applied_steps, 1);
    EXPECT_EQ(buffer_.state.non_finite_steps, 1);
    EXPECT_TRUE(same_bits(buffer_.parameters, parameters));
    EXPECT_TRUE(same_bits(buffer_.moment1, m));
    EXPECT_TRUE(same_bits(buffer_.moment2, v));
    buffer_.step(normal(33, 8), {1, 8, 1, 8, 0});
    EXPECT_EQ(buffer_.state.applied_steps, 2);
    EXPECT_FLOAT_EQ(buffer_.state.bias_correction1, 1 - 0.9f * 0.9f);
    EXPECT_FALSE(same_bits(buffer_.parameters, parameters));
    for (float p : buffer_.parameters) EXPECT_TRUE(std::isfinite(p));
  }
};

TEST_F(RefusedStep, ForANanGradient) {
  gradients_[32] = kNan;
  expect_refused({1, 8, 1, 8, 0});
}
TEST_F(RefusedStep, ForAnInfiniteGradient) {
  gradients_[0] = -HUGE_VALF;
  expect_refused({1, 8, 1, 8, 0});
}
TEST_F(RefusedStep, ForALossThatIsNotFinite) { expect_refused({HUGE_VAL, 8, 1, 8, 0}); }
TEST_F(RefusedStep, ForASecondLossThatIsNotFinite) { expect_refused({1, 8, kNan, 8, 0}); }
TEST_F(RefusedStep, ForACountOfZero) { expect_refused({0, 0, 0, 0, 0}); }
TEST_F(RefusedStep, ForACountThatIsNotANumber) { expect_refused({1, kNan, 1, 8, 0}); }

// A metric after the losses may be anything: it trains nothing.
TEST(Control, LooksAtLossesAlone) {
  const auto kernel = make_control_kernel(core::DeviceKind::kCpu, ControlOptions{}, {});
  StepState state;
  const double control[] = {1, 1, kNan, kNan, 0}, sum = 4;
  kernel->run(control, &sum, &state, {});
  EXPECT_EQ(state.apply, 1);
}

TEST(Control, ScalesByTheExactCountAndClips) {
  const ControlOptions options{.schedule = {.base_lr = 0.5f, .warmup_steps = 2},
                               .clip_norm = 3,
                               .nominal_count = 120,
                               .loss_scale = 16};
  const auto kernel = make_control_kernel(core::DeviceKind::kCpu, options, {});
  StepState state;
  const double control[] = {7, 100, 0};
  const double small = 16 * 16;  // norm 16 x multiplier 0.075 = 1.2
  kernel->run(control, &small, &state, {});
  EXPECT_DOUBLE_EQ(state.grad_norm, 1.2);
  EXPECT_FLOAT_EQ(state.grad_multiplier, 0.075f);
  EXPECT_FLOAT_EQ(state.learning_rate, 0.25f);
  const double large = 1600 * 1600;  // norm 120, clipped to 3
  kernel->run(control, &large, &state, {});
  EXPECT_DOUBLE_EQ(state.grad_norm, 120);
  EXPECT_FLOAT_EQ(state.grad_multiplier, static_cast<float>(0.075 * 3 / (120 + 1e-6)));
  EXPECT_FLOAT_EQ(state.learning_rate, 0.5f);
  EXPECT_EQ(state.applied_steps, 2);
}

}  // namespace
}  // namespace trireme::test

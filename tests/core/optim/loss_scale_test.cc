// How the scale of f16 gradients follows what it meets.
#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "core/kernels/optimizer.h"

namespace trireme::core {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

class LossScale : public testing::Test {
 protected:
  LossScale() { set_loss_scale(options_.scaling.initial, 0, &step_); }

  void step(double sum_of_squares, double count = 8) {
    const std::vector<double> control{3, count, 0, 0, 0};
    control_step(options_, control.data(), sum_of_squares, &step_);
    EXPECT_EQ(step_.inverse_loss_scale, 1 / step_.loss_scale);
  }
  void good(int steps) {
    for (int i = 0; i < steps; ++i) step(4);
  }

  ControlOptions options_{.scaling = {.initial = 1024, .growth_steps = 5}};
  StepState step_;
};

TEST_F(LossScale, IsHalvedByAStepThatIsNotFinite) {
  step(kInfinity);
  EXPECT_EQ(step_.loss_scale, 512);
  EXPECT_EQ(step_.apply, 0);
  EXPECT_EQ(step_.applied_steps, 0);
  step(std::numeric_limits<double>::quiet_NaN());
  EXPECT_EQ(step_.loss_scale, 256);
}

TEST_F(LossScale, IsDoubledAfterAppliedStepsInARow) {
  good(4);
  EXPECT_EQ(step_.loss_scale, 1024);
  good(1);
  EXPECT_EQ(step_.loss_scale, 2048);
  EXPECT_EQ(step_.good_steps, 0);
  good(5);
  EXPECT_EQ(step_.loss_scale, 4096);
  EXPECT_EQ(step_.applied_steps, 10);
}

TEST_F(LossScale, CountsAnewAfterAHalving) {
  good(4);
  step(kInfinity);
  good(4);
  EXPECT_EQ(step_.loss_scale, 512);
  good(1);
  EXPECT_EQ(step_.loss_scale, 1024);
}

TEST_F(LossScale, StaysWithinItsBounds) {
  for (int i = 0; i < 40; ++i) step(kInfinity);
  EXPECT_EQ(step_.loss_scale, 1);
  good(40 * 5);
  EXPECT_EQ(step_.loss_scale, kMostLossScale);
}

TEST_F(LossScale, DoesNotTouchTheGradientsMultiplier) {
  step(4);
  const float multiplier = step_.grad_multiplier;
  step(kInfinity);
  step(4);
  EXPECT_EQ(step_.grad_multiplier, multiplier);
}

TEST_F(LossScale, AStepWithoutSamplesSaysNothing) {
  good(3);
  step(0, 0);
  EXPECT_EQ(step_.apply, 0);
  EXPECT_EQ(step_.loss_scale, 1024);
  EXPECT_EQ(step_.good_steps, 3);
}

TEST_F(LossScale, IsOneWithoutScaling) {
  options_.scaling = {};
  step_ = {};
  step(kInfinity);
  good(20);
  EXPECT_EQ(step_.loss_scale, 1);
}

}  // namespace
}  // namespace trireme::core

// Learning rates in closed form.
#include "core/optim/schedule.h"

#include <gtest/gtest.h>

namespace trireme::core {
namespace {

TEST(Schedule, WarmsUpLinearlyAndReachesTheBase) {
  for (auto kind : {ScheduleKind::kConstant, ScheduleKind::kStep, ScheduleKind::kLinear,
                    ScheduleKind::kCosine}) {
    const Schedule s{.kind = kind, .base_lr = 0.8f, .warmup_steps = 4, .total_steps = 24};
    for (int64_t step = 0; step < 4; ++step)
      EXPECT_FLOAT_EQ(learning_rate(s, step), 0.2f * static_cast<float>(step + 1));
    EXPECT_FLOAT_EQ(learning_rate(s, 4), 0.8f);
  }
}

TEST(Schedule, ConstantStays) {
  const Schedule s{.base_lr = 0.3f};
  for (int64_t step : {0, 1, 1000, 1 << 30}) EXPECT_EQ(learning_rate(s, step), 0.3f);
}

TEST(Schedule, StepDropsAfterEachStepSize) {
  const Schedule s{
      .kind = ScheduleKind::kStep, .base_lr = 1, .warmup_steps = 2, .step_size = 3, .gamma = 0.5f};
  const float want[] = {0.5f, 1, 1, 1, 1, 0.5f, 0.5f, 0.5f, 0.25f, 0.25f, 0.25f, 0.125f};
  for (int64_t step = 0; step < 12; ++step)
    EXPECT_FLOAT_EQ(learning_rate(s, step), want[step]) << step;
}

TEST(Schedule, LinearEndsAtItsFraction) {
  const Schedule s{.kind = ScheduleKind::kLinear,
                   .base_lr = 2,
                   .warmup_steps = 10,
                   .total_steps = 110,
                   .final_fraction = 0.1f};
  EXPECT_FLOAT_EQ(learning_rate(s, 10), 2);
  EXPECT_FLOAT_EQ(learning_rate(s, 60), 1.1f);
  EXPECT_FLOAT_EQ(learning_rate(s, 85), 0.65f);
  for (int64_t step : {110, 111, 100000}) EXPECT_FLOAT_EQ(learning_rate(s, step), 0.2f);
}

TEST(Schedule, CosineEndsAtItsFraction) {
  const Schedule s{.kind = ScheduleKind::kCosine,
                   .base_lr = 2,
                   .warmup_steps = 5,
                   .total_steps = 65,
                   .final_fraction = 0.5f};
  EXPECT_FLOAT_EQ(learning_rate(s, 5), 2);
  EXPECT_FLOAT_EQ(learning_rate(s, 25), 1.75f);  // cos(60 degrees) = 1/2
  EXPECT_FLOAT_EQ(learning_rate(s, 35), 1.5f);
  EXPECT_FLOAT_EQ(learning_rate(s, 45), 1.25f);
  for (int64_t step : {65, 66, 100000}) EXPECT_FLOAT_EQ(learning_rate(s, step), 1);
}

// A warm-up as long as the run, or longer, has no decay to divide by.
TEST(Schedule, NothingIsLeftAfterALongWarmUp) {
  const Schedule s{
      .kind = ScheduleKind::kCosine, .base_lr = 1, .warmup_steps = 10, .total_steps = 10};
  EXPECT_FLOAT_EQ(learning_rate(s, 9), 1);
  EXPECT_FLOAT_EQ(learning_rate(s, 10), 0);
}

}  // namespace
}  // namespace trireme::core

// The moving average of the parameters on the CPU, against a loop in double.
#include <gtest/gtest.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/optim/optimizer.h"
#include "tests/support/host_tensor.h"

namespace trireme::test {
namespace {

using core::AverageOptions;
using core::StepState;
using core::UpdateRange;

constexpr int64_t kCount = 40'000;
constexpr auto kCpu = core::DeviceKind::kCpu;

std::vector<float> normal(uint64_t seed) {
  const HostTensor drawn = Random(seed).normal({kCount});
  return {drawn.values.begin(), drawn.values.end()};
}

// The parameters after update t.
std::vector<float> parameters_of(int t) { return normal(100 + static_cast<uint64_t>(t)); }

// As the header has it, in double.
double expected(double decay, int updates, int64_t element) {
  double average = 0;
  for (int t = 1; t <= updates; ++t) {
    const double weight = std::max(1 - decay, 9.0 / (t + 8));
    average = (1 - weight) * average + weight * double{parameters_of(t)[element]};
  }
  return average;
}

// `shift`: of the averages, as where they lie in a buffer of this rank's slices.
std::vector<float> averaged(const AverageOptions& options, int updates, int threads,
                            std::vector<UpdateRange> ranges, int64_t shift) {
  for (UpdateRange& range : ranges) range.moment_shift = shift;
  const core::AverageKernel kernel(kCpu, options, ranges, {.threads = threads});
  std::vector<float> averages(kCount);
  for (int t = 1; t <= updates; ++t) {
    const StepState step{.applied_steps = t, .apply = 1};
    kernel.run(parameters_of(t).data(), averages.data(), &step, {});
  }
  return averages;
}

TEST(Average, EqualsALoopInDouble) {
  const std::vector<UpdateRange> ranges = {{17, 5'000}, {5'001, 5'002}, {9'000, 39'990}};
  for (const float decay : {0.0f, 0.1f, 0.5f, 0.9f, 0.999f})
    for (const int updates : {1, 2, 3, 9}) {
      const std::vector<float> got = averaged({.decay = decay}, updates, 2, ranges, -16);
      for (const int64_t i : {17, 18, 4'999, 5'001, 9'000, 20'000, 39'989})
        EXPECT_NEAR(got[i - 16], expected(double{decay}, updates, i), 2e-6)
            << decay << ", " << updates << " updates, element " << i;
      for (const int64_t i : {0, 16, 5'000, 5'002, 8'999, 39'990})  // in no range
        EXPECT_EQ(got[i - std::min<int64_t>(16, i)], 0) << i;
    }
}

TEST(Average, IsTheParametersThemselvesAfterTheFirstUpdate) {
  EXPECT_EQ(averaged({}, 1, 1, {{0, kCount}}, 0), parameters_of(1));
}

TEST(Average, DoesNotDependOnThreads) {
  const std::vector<UpdateRange> ranges = {{0, 11}, {11, 33'333}, {33'340, kCount}};
  EXPECT_EQ(averaged({}, 3, 7, ranges, 0), averaged({}, 3, 1, ranges, 0));
}

TEST(Average, StaysAsItIsWhenAStepIsNotApplied) {
  const core::AverageKernel kernel(kCpu, {}, std::vector<UpdateRange>{{0, kCount}}, {});
  std::vector<float> averages = normal(1);
  const StepState step{.applied_steps = 5, .apply = 0};
  kernel.run(normal(2).data(), averages.data(), &step, {});
  EXPECT_EQ(averages, normal(1));
}

TEST(Average, RefusesRangesThatOverlap) {
  const std::vector<UpdateRange> ranges = {{0, 5}, {4, 8}};
  EXPECT_THROW(core::AverageKernel(kCpu, {}, ranges, {}), InvalidArgument);
}

}  // namespace
}  // namespace trireme::test

// Dropout's mask does not depend on how a batch is cut, and keeps the stated fraction.
#include "core/ops/dropout.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/support/op_check.h"

namespace trireme::test {
namespace {

HostTensor ones(core::Shape shape) {
  HostTensor x = zeros(core::DType::kF32, shape);
  std::ranges::fill(x.values, 1.0);
  return x;
}

std::vector<double> drop(const core::Dropout& op, core::Shape shape, OpSetting setting) {
  return run_op(*make_cpu_op_device(1), op, {ones(shape)}, setting).front().values;
}

TEST(Dropout, TheMaskBelongsToTheSampleNotToTheBatch) {
  const core::Dropout op(0.5f, "drop1");
  OpSetting setting;
  setting.step.first_sample = 600;
  const std::vector<double> whole = drop(op, {7, 13}, setting);
  setting.sample_offset = 3;
  const std::vector<double> part = drop(op, {4, 13}, setting);
  EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin() + 3 * 13));
  setting.sample_offset = 2;
  EXPECT_NE(part, drop(op, {4, 13}, setting));
}

TEST(Dropout, SeedAndStreamChangeTheMask) {
  OpSetting setting;
  const std::vector<double> y = drop(core::Dropout(0.5f, "drop1"), {4, 64}, setting);
  EXPECT_NE(y, drop(core::Dropout(0.5f, "drop2"), {4, 64}, setting));
  setting.seed = 8;
  EXPECT_NE(y, drop(core::Dropout(0.5f, "drop1"), {4, 64}, setting));
}

// 200,000 draws: six standard deviations of the mean are 0.0067 at p = 0.5.
TEST(Dropout, KeepsTheStatedFraction) {
  for (float p : {0.1f, 0.5f, 0.8f}) {
    const std::vector<double> y = drop(core::Dropout(p, "d"), {200, 1000}, {});
    const auto kept =
        static_cast<double>(std::ranges::count_if(y, [](double v) { return v != 0; }));
    EXPECT_NEAR(kept / 200000, 1 - p, 0.0067);
    EXPECT_NEAR(*std::ranges::max_element(y), 1 / (1 - p), 1e-5);
  }
}

}  // namespace
}  // namespace trireme::test

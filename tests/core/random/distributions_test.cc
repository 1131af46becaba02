#include "core/random/distributions.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <vector>

namespace trireme::core {
namespace {

// Whole lanes at the edges of octants, powers of two and the ends of the range.
std::vector<uint32_t> awkward_lanes() {
  std::vector<uint32_t> lanes{0, 1, 2, 3, 0xffffffffu, 0xfffffffeu, 0xffffff80u, 0xffffff7fu};
  for (int bit = 0; bit < 32; ++bit)
    for (int delta = -1; delta <= 1; ++delta) lanes.push_back((1u << bit) + delta);
  for (uint32_t octant = 1; octant < 8; ++octant)
    for (int delta = -1; delta <= 1; ++delta) lanes.push_back((octant << 29) + delta);
  for (uint64_t i = 0; i < 20000; ++i) lanes.push_back(philox(11, i, 0).lane[0]);
  return lanes;
}

double ulps(float got, double want) {
  const float near = static_cast<float>(want);
  return std::abs(got - want) / (std::nextafter(std::abs(near), INFINITY) - std::abs(near));
}

TEST(Exact, LogIsWithinTwoUlps) {
  double worst = 0;
  for (uint32_t lane : awkward_lanes()) {
    const float x = (static_cast<float>(lane) + 0.5f) * 0x1p-32f;
    if (x == 1) continue;
    worst = std::max(worst, ulps(exact::log(x), std::log(static_cast<double>(x))));
  }
  EXPECT_LT(worst, 2);
  EXPECT_EQ(exact::log(1.0f), 0.0f);
  EXPECT_LT(exact::log(std::nextafter(1.0f, 0.0f)), 0.0f);
}

TEST(Exact, SineAndCosineAreWithinTwoUlps) {
  for (int i = -10000; i <= 10000; ++i) {
    const float x = static_cast<float>(i * (std::numbers::pi / 40000));
    EXPECT_LT(i == 0 ? 0 : ulps(exact::sin_near_zero(x), std::sin(static_cast<double>(x))), 2) << x;
    EXPECT_LT(ulps(exact::cos_near_zero(x), std::cos(static_cast<double>(x))), 2) << x;
  }
}

TEST(Uniform, HalfOpenAtBothEndsOfTheLane) {
  EXPECT_EQ(uniform(0), 0.0f);
  EXPECT_EQ(uniform(0xffffffffu), 1 - 0x1p-24f);
  EXPECT_EQ(uniform(0, -2, 3), -2.0f);
  EXPECT_LT(uniform(0xffffffffu, -2, 3), 3.0f);
  const float next = std::nextafter(1.0f, 2.0f);  // nothing between the bounds: rounding would give
  EXPECT_EQ(uniform(0xffffffffu, 1.0f, next), 1.0f);  // the upper one
  EXPECT_EQ(uniform(0xffffffffu, 100.0f, 100.1f) < 100.1f, true);
}

TEST(Normal, AgreesWithBoxMullerInDouble) {
  const std::vector<uint32_t> lanes = awkward_lanes();
  double worst = 0;
  for (size_t i = 0; i < lanes.size(); ++i) {
    const uint32_t a = lanes[i], b = lanes[(i * 7919 + 13) % lanes.size()];
    const NormalPair got = normal_pair(a, b);
    // u as a float is part of the definition; all after it is compared with double.
    const double u = (static_cast<float>(a) + 0.5f) * 0x1p-32f;
    const double r = std::sqrt(-2 * std::log(u)), t = 2 * std::numbers::pi * b / 0x1p32;
    worst = std::max(
        {worst, std::abs(got.first - r * std::cos(t)), std::abs(got.second - r * std::sin(t))});
    EXPECT_NEAR(got.first, r * std::cos(t), 3e-7 * r + 1e-30);
    EXPECT_NEAR(got.second, r * std::sin(t), 3e-7 * r + 1e-30);
  }
  EXPECT_GT(worst, 0) << "compared with itself";
}

TEST(Normal, ExtremeLanesAreFinite) {
  for (uint32_t a : {0u, 1u, 0xffffffffu})
    for (uint32_t b : {0u, 1u << 29, 1u << 30, 1u << 31, 3u << 30, 0xffffffffu}) {
      const NormalPair x = normal_pair(a, b);
      EXPECT_LE(std::abs(x.first), 6.77f);
      EXPECT_LE(std::abs(x.second), 6.77f);
    }
  EXPECT_GT(normal_pair(0, 0).first, 6.7f);
  EXPECT_LT(normal_pair(0, 1u << 31).first, -6.7f);
  EXPECT_GT(normal_pair(0, 1u << 30).second, 6.7f);
  EXPECT_LT(normal_pair(0, 3u << 30).second, -6.7f);
}

}  // namespace
}  // namespace trireme::core

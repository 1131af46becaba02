// The polynomials against libm in double, over the range on which their headers promise an error.
#include "core/kernels/math.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/kernels/activation.h"

namespace trireme::core {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// The largest |f(x) - want(x)| / (|want(x)| + floor) over a fine grid.
template <typename Function, typename Want>
double worst_error(const Function& f, const Want& want, float low, float high, double floor = 0) {
  constexpr int kPoints = 200001;
  double worst = 0;
  for (int i = 0; i < kPoints; ++i) {
    const float x = low + (high - low) * static_cast<float>(i) / (kPoints - 1);
    const double w = want(static_cast<double>(x));
    if (w == 0) continue;
    worst = std::max(worst, std::abs(f(x) - w) / (std::abs(w) + floor));
  }
  return worst;
}

double normal_cdf(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }

TEST(Math, FollowsLibm) {
  EXPECT_LT(worst_error(
                fast_exp, [](double x) { return std::exp(x); }, -86.4f, 88.7f),
            2e-7);
  EXPECT_LT(worst_error(
                fast_tanh, [](double x) { return std::tanh(x); }, -12, 12),
            3e-7);
  EXPECT_LT(worst_error(
                fast_tanh, [](double x) { return std::tanh(x); }, -1e-3f, 1e-3f),
            3e-7);
  EXPECT_LT(worst_error(
                fast_sigmoid, [](double x) { return 1 / (1 + std::exp(-x)); }, -86, 86),
            3e-7);
  EXPECT_LT(worst_error([](float x) { return normal_at(x).cdf; }, normal_cdf, -5, 12), 1e-6);
}

TEST(Math, GeluAndItsDerivativeFollowLibm) {
  const auto gelu = [](double x) { return x * normal_cdf(x); };
  const auto slope = [](double x) {
    return normal_cdf(x) + x * std::exp(-x * x / 2) / std::sqrt(2 * M_PI);
  };
  EXPECT_LT(worst_error(GeluFunction{}, gelu, -5, 12), 1e-6);
  EXPECT_LT(worst_error([](float x) { return GeluFunction{}.derivative(x); }, slope, -12, 12, 0.1),
            1e-6);
}

TEST(Math, SiluAndItsDerivativeFollowLibm) {
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  const auto silu = [=](double x) { return x * sigmoid(x); };
  const auto slope = [=](double x) { return sigmoid(x) * (1 + x * sigmoid(-x)); };
  EXPECT_LT(worst_error(SiluFunction{}, silu, -80, 80), 3e-7);
  EXPECT_LT(worst_error([](float x) { return SiluFunction{}.derivative(x); }, slope, -80, 80, 0.1),
            1e-6);
}

TEST(Math, SineAndCosineFollowLibm) {
  const auto sine = [](float x) { return fast_sincos(x).sin; };
  const auto cosine = [](float x) { return fast_sincos(x).cos; };
  for (float range : {1.0f, 100.0f, 1e5f, 2e9f}) {
    const auto sin = [](double x) { return std::sin(x); };
    const auto cos = [](double x) { return std::cos(x); };
    EXPECT_LT(worst_error(sine, sin, -range, range, 1), 2e-7) << range;
    EXPECT_LT(worst_error(cosine, cos, -range, range, 1), 2e-7) << range;
  }
  EXPECT_EQ(fast_sincos(0.0f).sin, 0.0f);
  EXPECT_EQ(fast_sincos(0.0f).cos, 1.0f);
}

TEST(Math, KeepsInfinitiesAndNan) {
  EXPECT_EQ(fast_exp(kInfinity), kInfinity);
  EXPECT_EQ(fast_exp(89.0f), kInfinity);
  EXPECT_EQ(fast_exp(-kInfinity), 0.0f);
  EXPECT_EQ(fast_exp(0.0f), 1.0f);
  EXPECT_EQ(fast_tanh(kInfinity), 1.0f);
  EXPECT_EQ(fast_tanh(-kInfinity), -1.0f);
  EXPECT_EQ(fast_sigmoid(-kInfinity), 0.0f);
  EXPECT_EQ(fast_sigmoid(kInfinity), 1.0f);
  for (float y :
       {fast_exp(kNan), fast_tanh(kNan), fast_sigmoid(kNan), normal_at(kNan).cdf,
        ReluFunction{}(kNan), GeluFunction{}(kNan), GeluTanhFunction{}(kNan), SiluFunction{}(kNan)})
    EXPECT_TRUE(std::isnan(y));
}

// Far out, where x^2 and x^3 overflow.
TEST(Math, GeluIsTheIdentityOrNothingFarOut) {
  for (float x : {20.0f, 1e10f, 1e20f, 1e38f}) {
    EXPECT_EQ(GeluFunction{}(x), x);
    EXPECT_EQ(GeluTanhFunction{}(x), x);
    EXPECT_EQ(GeluFunction{}(-x), 0.0f);
    EXPECT_EQ(GeluTanhFunction{}(-x), 0.0f);
    EXPECT_EQ(GeluFunction{}.derivative(x), 1.0f);
    EXPECT_EQ(GeluTanhFunction{}.derivative(x), 1.0f);
    EXPECT_EQ(GeluFunction{}.derivative(-x), 0.0f);
    EXPECT_EQ(GeluTanhFunction{}.derivative(-x), 0.0f);
  }
}

}  // namespace
}  // namespace trireme::core

#include "core/optim/exact_sum.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "core/optim/optimizer.h"

namespace trireme::core {
namespace {

using Limbs = std::array<int64_t, kExactLimbs>;

Limbs sum_of(const std::vector<double>& terms) {
  Limbs sum{};
  for (double term : terms) add_exactly(term, sum.data());
  return sum;
}

double value_of(const std::vector<double>& terms) { return exact_value(sum_of(terms).data()); }

TEST(ExactSum, OfOneTermIsTheTerm) {
  for (double term :
       {0.0, 1.0, -1.0, 0.1, -1e-30, 3e40, 0x1.fffffffffffffp299, -0x1p-300, 12345.678})
    EXPECT_EQ(value_of({term}), term);
}

TEST(ExactSum, LosesNothingThatCancels) {
  EXPECT_EQ(value_of({1e40, 1.0, -1e40}), 1.0);
  EXPECT_EQ(value_of({-1e40, 0x1p-60, 1e40, -1.0}), -1.0 + 0x1p-60);
  EXPECT_EQ(value_of({3.0, -3.0}), 0.0);
}

// Terms of 30 decades and both signs; long double has 11 bits more than the result.
TEST(ExactSum, IsTheSameInAnyOrderAndSplit) {
  std::mt19937 random(7);
  std::vector<double> terms;
  for (int i = 0; i < 10'000; ++i)
    terms.push_back(
        std::ldexp(static_cast<double>(random()) - 2e9, static_cast<int>(random() % 100) - 50));
  const Limbs one = sum_of(terms);
  std::shuffle(terms.begin(), terms.end(), random);
  const auto cut = terms.begin() + 3'333;
  const Limbs a = sum_of({terms.begin(), cut}), b = sum_of({cut, terms.end()});
  Limbs both{};
  for (int i = 0; i < kExactLimbs; ++i) both[i] = a[i] + b[i];
  EXPECT_EQ(exact_value(one.data()), exact_value(both.data()));
  std::ranges::sort(terms, {}, [](double x) { return std::abs(x); });
  long double reference = 0;
  for (double term : terms) reference += term;
  EXPECT_NEAR(exact_value(one.data()), static_cast<double>(reference),
              1e-15 * std::abs(static_cast<double>(reference)));
}

TEST(ExactSum, OfWhatIsNotFiniteIsNotANumber) {
  const double inf = std::numeric_limits<double>::infinity();
  for (double term : {inf, -inf, std::nan(""), 1e300})
    EXPECT_TRUE(std::isnan(value_of({1.0, term, -1.0})));
}

// Whoever has which slices, if only these start at multiples of the unit.
TEST(ExactNorm, IsTheSameForAnySlicesAndThreads) {
  constexpr int64_t kElements = 100 * kNormUnit + 37;
  std::mt19937 random(3);
  std::vector<float> gradients(kElements);
  double reference = 0;
  for (float& g : gradients) {
    g = std::ldexp(static_cast<float>(random() % 1000) - 500, static_cast<int>(random() % 40) - 20);
    reference += double{g} * double{g};
  }
  const auto norm = [&](std::vector<ElementRange> ranges, int threads) {
    Limbs sum{};
    ExactNormKernel(ranges, {.threads = threads}).run(gradients.data(), sum.data());
    return sum;
  };
  const Limbs whole = norm({{0, kElements}}, 1);
  EXPECT_NEAR(exact_value(whole.data()), reference, 1e-12 * reference);
  EXPECT_EQ(exact_value(norm({{0, kElements}}, 3).data()), exact_value(whole.data()));
  const Limbs low = norm({{0, 7 * kNormUnit}, {64 * kNormUnit, kElements}}, 2);
  const Limbs high = norm({{7 * kNormUnit, 64 * kNormUnit}}, 1);
  Limbs both{};
  for (int i = 0; i < kExactLimbs; ++i) both[i] = low[i] + high[i];
  EXPECT_EQ(exact_value(both.data()), exact_value(whole.data()));
}

}  // namespace
}  // namespace trireme::core

#include "launcher/generate/token_sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "core/base/error.h"

namespace trireme::launcher {
namespace {

const std::vector<float> kLogits = {0.5f, 2.0f, -1.0f, 2.0f, 1.0f};

std::vector<double> frequencies(const SamplingOptions& options, int64_t draws) {
  TokenSampler sampler(options);
  std::vector<double> seen(kLogits.size());
  for (int64_t n = 0; n < draws; ++n)
    seen[static_cast<size_t>(sampler.draw(kLogits, n))] += 1.0 / static_cast<double>(draws);
  return seen;
}

// Softmax of the kept logits; the others never come.
void expect_softmax(const SamplingOptions& options, const std::set<size_t>& kept) {
  constexpr int64_t kDraws = 10000;
  const std::vector<double> seen = frequencies(options, kDraws);
  double total = 0;
  for (size_t i : kept) total += std::exp(kLogits[i] / options.temperature);
  for (size_t i = 0; i < kLogits.size(); ++i) {
    const double p = kept.contains(i) ? std::exp(kLogits[i] / options.temperature) / total : 0;
    EXPECT_NEAR(seen[i], p, 1e-9 + 5 * std::sqrt(p * (1 - p) / kDraws)) << i;  // five deviations
  }
}

TEST(TokenSampler, DrawsFromSoftmax) {
  expect_softmax({}, {0, 1, 2, 3, 4});
  expect_softmax({.temperature = 0.5, .seed = 9}, {0, 1, 2, 3, 4});
  expect_softmax({.temperature = 3}, {0, 1, 2, 3, 4});
}

TEST(TokenSampler, TopKAndTopPKeepTheLikeliest) {
  expect_softmax({.top_k = 3}, {1, 3, 4});
  expect_softmax({.top_k = 9}, {0, 1, 2, 3, 4});
  // p: 0.09, 0.38, 0.02, 0.38, 0.14
  expect_softmax({.top_p = 0.3}, {1});
  expect_softmax({.top_p = 0.5}, {1, 3});
  expect_softmax({.top_p = 0.8}, {1, 3, 4});
  expect_softmax({.top_k = 4, .top_p = 0.999}, {0, 1, 3, 4});
}

TEST(TokenSampler, ZeroTemperatureTakesTheFirstOfTheLikeliest) {
  TokenSampler sampler({.temperature = 0});
  for (int64_t n = 0; n < 10; ++n) EXPECT_EQ(sampler.draw(kLogits, n), 1);
}

TEST(TokenSampler, DependsOnSeedAndNumberAlone) {
  TokenSampler a({.seed = 4}), b({.seed = 4}), c({.seed = 5});
  int differ = 0;
  for (int64_t n = 99; n >= 0; --n) {
    EXPECT_EQ(a.draw(kLogits, n), b.draw(kLogits, n));
    differ += a.draw(kLogits, n) != c.draw(kLogits, n);
  }
  EXPECT_GT(differ, 20);
}

TEST(TokenSampler, RefusesWhatIsNoDistribution) {
  EXPECT_THROW(TokenSampler({.temperature = -1}), InvalidArgument);
  EXPECT_THROW(TokenSampler({.temperature = std::nan("")}), InvalidArgument);
  EXPECT_THROW(TokenSampler({.top_k = -1}), InvalidArgument);
  EXPECT_THROW(TokenSampler({.top_p = 0}), InvalidArgument);
  EXPECT_THROW(TokenSampler({.top_p = 1.01}), InvalidArgument);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  TokenSampler sampler({});
  try {
    sampler.draw(std::vector<float>{nan, nan}, 0);
    FAIL() << "drew from logits that are not finite";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kDiverged);
  }
  EXPECT_EQ(sampler.draw(std::vector<float>{nan, 1}, 0), 1);
}

}  // namespace
}  // namespace trireme::launcher

#include "core/random/bijection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>
#include <vector>

#include "core/base/error.h"

namespace trireme::core {
namespace {

std::vector<int64_t> order(uint64_t key, int64_t epoch, int64_t size) {
  const Bijection bijection(key, epoch, size);
  std::vector<int64_t> out;
  for (int64_t n = 0; n < size; ++n) out.push_back(bijection(n));
  return out;
}

TEST(Bijection, IsAPermutationOfEverySize) {
  for (int64_t size :
       {1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 31, 64, 65, 100, 127, 128, 129, 1000, 4096, 4097, 10007})
    for (int64_t epoch : {0, 1, 2}) {
      const std::vector<int64_t> values = order(42, epoch, size);
      const std::set<int64_t> distinct(values.begin(), values.end());
      EXPECT_EQ(static_cast<int64_t>(distinct.size()), size);
      EXPECT_EQ(*distinct.begin(), 0);
      EXPECT_EQ(*distinct.rbegin(), size - 1);
    }
}

TEST(Bijection, HugeSizesStayInRangeAndDoNotCollide) {
  for (int64_t size : {(int64_t{1} << 31) + 11, (int64_t{1} << 32) + 1, (int64_t{1} << 53) - 5,
                       Bijection::kMaxSize - 1, Bijection::kMaxSize}) {
    const Bijection bijection(7, 3, size);
    std::set<int64_t> seen;
    for (int64_t n = 0; n < 1000; ++n)
      for (int64_t position : {n, size - 1 - n}) {
        const int64_t value = bijection(position);
        EXPECT_GE(value, 0);
        EXPECT_LT(value, size);
        EXPECT_TRUE(seen.insert(value).second);
      }
    // 2000 draws without pattern: their mean lies near the middle (sigma = 0.0065 of the size).
    double mean = 0;
    for (int64_t value : seen) mean += static_cast<double>(value) / size / seen.size();
    EXPECT_NEAR(mean, 0.5, 0.03);
  }
}

TEST(Bijection, SeedsAndEpochsDiffer) {
  const std::vector<int64_t> base = order(1, 0, 1000);
  for (const auto& other :
       {order(2, 0, 1000), order(1, 1, 1000), order(1, int64_t{1} << 40, 1000)}) {
    int same = 0;
    for (int n = 0; n < 1000; ++n) same += base[n] == other[n];
    EXPECT_LT(same, 10);  // one is expected by chance
  }
}

// Chi-square of (position, value) counts over many epochs.
double chi_square_of_positions(int64_t size, int epochs) {
  std::vector<int> counts(size * size);
  for (int epoch = 0; epoch < epochs; ++epoch) {
    const std::vector<int64_t> values = order(99, epoch, size);
    for (int64_t n = 0; n < size; ++n) ++counts[n * size + values[n]];
  }
  const double expected = static_cast<double>(epochs) / size;
  double sum = 0;
  for (int count : counts) sum += (count - expected) * (count - expected) / expected;
  return sum;
}

TEST(Bijection, EveryPositionIsUniform) {
  for (int64_t size : {2, 3, 5, 8, 10, 16, 33}) {
    const double freedom = static_cast<double>((size - 1) * (size - 1));
    // Mean `freedom`, standard deviation sqrt(2 freedom): five of them above is far out.
    EXPECT_LT(chi_square_of_positions(size, 4000), freedom + 5 * std::sqrt(2 * freedom) + 10)
        << "size " << size;
  }
}

// Uniform positions do not make uniform permutations; for five elements all 120 can be counted.
TEST(Bijection, EveryPermutationOfFiveIsEquallyLikely) {
  std::map<std::vector<int64_t>, int> counts;
  constexpr int kEpochs = 12000;
  for (int epoch = 0; epoch < kEpochs; ++epoch) ++counts[order(5, epoch, 5)];
  EXPECT_EQ(counts.size(), 120u);
  double sum = 0;
  for (const auto& [permutation, count] : counts) sum += (count - 100.0) * (count - 100.0) / 100.0;
  EXPECT_LT(sum, 119 + 5 * std::sqrt(2 * 119.0));
}

TEST(Bijection, NeighboursAreScattered) {
  const std::vector<int64_t> values = order(3, 0, 10000);
  double distance = 0;
  for (int n = 1; n < 10000; ++n) distance += std::abs(values[n] - values[n - 1]) / 9999.0;
  EXPECT_NEAR(distance, 10000 / 3.0, 150);  // of two independent uniform numbers: a third
}

// Written down from an independent version in Python. They never change: the order of samples is
// part of what "the same job" means.
TEST(Bijection, GoldenValues) {
  EXPECT_THAT(order(1, 0, 10), testing::ElementsAre(5, 6, 2, 3, 0, 8, 9, 7, 1, 4));
  EXPECT_THAT(order(1, 1, 10), testing::ElementsAre(9, 4, 3, 2, 6, 5, 1, 8, 7, 0));
  const Bijection large(0x0123456789abcdef, 5, int64_t{1} << 61);
  EXPECT_EQ(large(0), 1936015877176228789);
  EXPECT_EQ(large(123456789012345), 1107133854285732895);
}

TEST(Bijection, RefusesBadArguments) {
  EXPECT_THROW(Bijection(1, 0, 0), InvalidArgument);
  EXPECT_THROW(Bijection(1, 0, Bijection::kMaxSize + 1), InvalidArgument);
  EXPECT_THROW(Bijection(1, -1, 5), InvalidArgument);
  EXPECT_THROW(Bijection(1, 0, 5)(5), InvalidArgument);
  EXPECT_THROW(Bijection(1, 0, 5)(-1), InvalidArgument);
}

}  // namespace
}  // namespace trireme::core

// Every width of the block loops that this CPU can run, against loops in double.
#include "core/cpu/block_loops.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "tests/support/host_tensor.h"
#include "tests/support/op_check.h"

namespace trireme::test {
namespace {

using core::BlockLoops;
using core::BlockProduct;
using core::kStripColumns;

std::vector<float> normal(int64_t count, uint64_t seed) {
  const auto values = Random(seed).normal({count}).values;
  return {values.begin(), values.end()};
}

std::vector<double> in_double(const std::vector<float>& x) { return {x.begin(), x.end()}; }

class BlockLoopsTest : public testing::TestWithParam<const BlockLoops*> {
 protected:
  const BlockLoops& loops() const { return *GetParam(); }
};

struct Sizes {
  int64_t m, n, k;
};

// Strips whole and begun, columns that end inside a group, one of each; a by rows and by columns.
TEST_P(BlockLoopsTest, Product) {
  for (const Sizes& s : {Sizes{1, 1, 1}, Sizes{6, 16, 3}, Sizes{7, 17, 5}, Sizes{11, 80, 64},
                         Sizes{3, 33, 2}, Sizes{13, 70, 0}})
    for (bool by_columns : {false, true})
      for (bool add : {false, true}) {
        const int64_t b_row = (s.n / kStripColumns + 1) * kStripColumns, c_row = s.n + 3;
        const auto a = normal(std::max<int64_t>(s.m * s.k, 1), 1);
        const auto b = normal(std::max<int64_t>(b_row * s.k, 1), 2);
        auto c = normal(s.m * c_row, 3);
        auto want = in_double(c);
        const int64_t a_row = by_columns ? 1 : s.k, a_column = by_columns ? s.m : 1;
        for (int64_t i = 0; i < s.m; ++i)
          for (int64_t j = 0; j < s.n; ++j) {
            double sum = add ? want[i * c_row + j] : 0;
            for (int64_t d = 0; d < s.k; ++d)
              sum += static_cast<double>(a[i * a_row + d * a_column]) * b[d * b_row + j];
            want[i * c_row + j] = sum;
          }
        loops().product({.m = s.m,
                         .n = s.n,
                         .k = s.k,
                         .a = a.data(),
                         .a_row = a_row,
                         .a_column = a_column,
                         .b = b.data(),
                         .b_row = b_row,
                         .c = c.data(),
                         .c_row = c_row,
                         .add = add});
        EXPECT_EQ(difference(in_double(c), want, 2e-6), "") << s.m << " " << s.n << " " << s.k;
      }
}

// Two blocks after each other give the softmax of both together; unseen scores give 0 exactly.
TEST_P(BlockLoopsTest, SoftmaxOfTwoBlocks) {
  constexpr int64_t kKeys = 29, kQueries = 32, kRow = 48;
  std::vector<float> max(kQueries, -INFINITY), sum(kQueries, 0), correction(kQueries);
  std::vector<double> exact_max(kQueries, -INFINITY), exact_sum(kQueries), first(kQueries);
  std::vector<std::vector<float>> scores;
  for (int64_t block : {0, 1}) {
    scores.push_back(normal(kKeys * kRow, 5 + static_cast<uint64_t>(block)));
    for (float& score : scores[block]) score = 5 * score + static_cast<float>(7 * block);
    const int64_t ahead = block == 0 ? kKeys : 2;  // the first block is seen whole
    const auto before = scores[block];
    for (int64_t q = 0; q < kQueries; ++q)
      for (int64_t k = 0; k < kKeys && k <= q + ahead; ++k)
        exact_max[q] = std::max<double>(exact_max[q], before[k * kRow + q]);
    loops().softmax({.scores = scores[block].data(),
                     .row = kRow,
                     .keys = kKeys,
                     .queries = kQueries,
                     .ahead = ahead},
                    max.data(), sum.data(), correction.data());
    EXPECT_EQ(in_double(max), exact_max);
    for (int64_t q = 0; q < kQueries; ++q) {
      for (int64_t k = 0; k < std::min<int64_t>(kKeys, q / 16 * 16 + 16 + ahead); ++k) {
        const double p = k <= q + ahead ? std::exp(before[k * kRow + q] - exact_max[q]) : 0;
        EXPECT_NEAR(scores[block][k * kRow + q], p, 4e-6 * p) << k << " " << q;
      }
    }
  }
  for (int64_t q = 0; q < kQueries; ++q) {
    for (int64_t k = 0; k < kKeys; ++k) {
      exact_sum[q] += static_cast<double>(scores[0][k * kRow + q]) * correction[q];
      if (k <= q + 2) exact_sum[q] += scores[1][k * kRow + q];
    }
    EXPECT_NEAR(sum[q], exact_sum[q], 2e-6 * exact_sum[q]);
  }
}

TEST_P(BlockLoopsTest, SoftmaxGradient) {
  constexpr int64_t kKeys = 21, kQueries = 16, kAhead = 3;
  auto scores = normal(kKeys * kQueries, 8), gradients = normal(kKeys * kQueries, 9);
  const auto lse = normal(kQueries, 10), delta = normal(kQueries, 11);
  std::vector<double> p, ds;
  for (int64_t k = 0; k < kKeys; ++k)
    for (int64_t q = 0; q < kQueries; ++q) {
      const int64_t i = k * kQueries + q;
      scores[i] -= 3;  // below their log-sum-exp
      p.push_back(k <= q + kAhead ? std::exp(static_cast<double>(scores[i]) - lse[q]) : 0);
      ds.push_back(p.back() * (static_cast<double>(gradients[i]) - delta[q]));
    }
  std::vector<float> above(lse);
  loops().softmax_gradient({.scores = scores.data(),
                            .row = kQueries,
                            .keys = kKeys,
                            .queries = kQueries,
                            .ahead = kAhead},
                           above.data(), delta.data(), gradients.data());
  EXPECT_EQ(difference(in_double(scores), p, 1e-6), "");
  EXPECT_EQ(difference(in_double(gradients), ds, 1e-6), "");
}

TEST_P(BlockLoopsTest, Transpose) {
  for (const auto& [rows, columns] : {std::pair{1, 1}, {16, 4}, {7, 9}, {37, 5}, {96, 64}}) {
    const int64_t width = (rows + 15) / 16 * 16;
    const auto from = normal(rows * (columns + 2), 12);
    std::vector<float> to(columns * width, NAN);
    loops().transpose(from.data(), columns + 2, rows, columns, 0.5F, to.data(), width);
    for (int64_t c = 0; c < columns; ++c)
      for (int64_t r = 0; r < width; ++r)
        ASSERT_EQ(to[c * width + r], r < rows ? 0.5F * from[r * (columns + 2) + c] : 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Widths, BlockLoopsTest,
                         testing::ValuesIn(core::block_loops_of_this_cpu()));

}  // namespace
}  // namespace trireme::test

#include "launcher/data/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <vector>

#include "core/base/error.h"

namespace trireme::launcher {
namespace {

TEST(ShuffledSampler, EveryEpochHasEverySampleOnceInItsOwnOrder) {
  constexpr int64_t kSize = 23;
  const ShuffledSampler sampler(5, kSize);
  std::vector<std::vector<int64_t>> epochs(3);
  for (int64_t n = 0; n < 3 * kSize; ++n) {
    EXPECT_EQ(sampler.draw(n).weight, 1);
    epochs[n / kSize].push_back(sampler.draw(n).index);
  }
  for (const auto& epoch : epochs) {
    const std::set<int64_t> distinct(epoch.begin(), epoch.end());
    EXPECT_EQ(distinct.size(), 23u);
    EXPECT_EQ(*distinct.rbegin(), 22);
  }
  EXPECT_NE(epochs[0], epochs[1]);
  EXPECT_NE(epochs[1], epochs[2]);
  EXPECT_NE(ShuffledSampler(6, 1000).draw(0).index, ShuffledSampler(5, 1000).draw(0).index);
}

TEST(SequentialSampler, InOrderThenPadding) {
  const SequentialSampler sampler(5);
  for (int64_t n = 0; n < 5; ++n) {
    EXPECT_EQ(sampler.draw(n).index, n);
    EXPECT_EQ(sampler.draw(n).weight, 1);
  }
  EXPECT_EQ(sampler.draw(5).weight, 0);
  EXPECT_EQ(sampler.steps(5), 1);
  EXPECT_EQ(sampler.steps(2), 3);
  EXPECT_EQ(sampler.steps(100), 1);
}

TEST(BatchShare, RanksAndMicroBatchesTileTheGlobalBatch) {
  for (int64_t ranks : {1, 2, 3, 4, 6})
    for (int64_t micro : {1, 2}) {
      std::vector<int> covered(24);
      for (int64_t rank = 0; rank < ranks; ++rank) {
        const BatchShare share{24, ranks, rank, micro};
        share.check();
        for (int64_t m = 0; m < share.micro_batches(); ++m)
          for (int64_t row = 0; row < micro; ++row) ++covered[share.first_row(m) + row];
      }
      EXPECT_THAT(covered, testing::Each(1)) << ranks << " ranks, micro-batch " << micro;
    }
  EXPECT_EQ((BatchShare{24, 3, 2, 4}.first_row(1)), 20);
}

// Pieces of 4 rows for 3 ranks in turn.
TEST(BatchShare, DealsOutPieces) {
  std::vector<int64_t> rows;
  for (int64_t m = 0; m < 4; ++m) rows.push_back(BatchShare{24, 3, 1, 2, 4}.first_row(m));
  EXPECT_EQ(rows, (std::vector<int64_t>{4, 6, 16, 18}));
}

TEST(BatchShare, RefusesWhatDoesNotDivide) {
  EXPECT_THROW((BatchShare{24, 3, 0, 2, 3}.check()), InvalidArgument);
  EXPECT_THROW((BatchShare{24, 3, 0, 4, 2}.check()), InvalidArgument);
  EXPECT_THROW((BatchShare{10, 3, 0, 1}.check()), InvalidArgument);
  EXPECT_THROW((BatchShare{10, 2, 0, 2}.check()), InvalidArgument);
  EXPECT_THROW((BatchShare{10, 2, 2, 5}.check()), InvalidArgument);
  EXPECT_THROW((BatchShare{10, 2, 0, 0}.check()), InvalidArgument);
  EXPECT_THROW((BatchShare{0, 1, 0, 1}.check()), InvalidArgument);
}

}  // namespace
}  // namespace trireme::launcher

#include "parallel/mesh.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <vector>

#include "core/base/error.h"
#include "parallel/batch_split.h"

namespace trireme::parallel {
namespace {

std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const InvalidArgument& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(Mesh, ZeroMeansWhatIsLeft) {
  EXPECT_EQ(Mesh({}, 6).str(), "data 6 x tensor 1 x pipeline 1");
  EXPECT_EQ(Mesh({.data = 0, .tensor = 2, .pipeline = 3}, 12).str(),
            "data 2 x tensor 2 x pipeline 3");
  EXPECT_EQ(Mesh({.data = 2, .tensor = 0, .pipeline = 1}, 6).size(Axis::kTensor), 3);
}

TEST(Mesh, CoordinatesRunTensorFirstAndAreUnique) {
  const Mesh mesh({.data = 3, .tensor = 2, .pipeline = 4}, 24);
  std::set<std::array<int, 3>> seen;
  for (int rank = 0; rank < 24; ++rank) {
    const std::array<int, 3> at{mesh.coordinate(rank, Axis::kTensor),
                                mesh.coordinate(rank, Axis::kData),
                                mesh.coordinate(rank, Axis::kPipeline)};
    EXPECT_EQ(rank, at[0] + 2 * (at[1] + 3 * at[2]));
    seen.insert(at);
  }
  EXPECT_EQ(seen.size(), 24u);
}

TEST(Mesh, RanksOfAGroupDifferAlongItsAxisOnly) {
  const Mesh mesh({.data = 3, .tensor = 2, .pipeline = 4}, 24);
  for (Axis axis : {Axis::kTensor, Axis::kData, Axis::kPipeline})
    for (int a = 0; a < 24; ++a)
      for (int b = 0; b < 24; ++b) {
        bool same = true;
        for (Axis other : {Axis::kTensor, Axis::kData, Axis::kPipeline})
          same &= other == axis || mesh.coordinate(a, other) == mesh.coordinate(b, other);
        EXPECT_EQ(mesh.group(a, axis) == mesh.group(b, axis), same);
      }
}

TEST(Mesh, Refuses) {
  EXPECT_EQ(message_of([] { Mesh({.data = 0, .tensor = 2}, 7); }),
            "parallel: 7 ranks do not divide by 2 (the product of the sizes that are set); nearest "
            "worlds: 6, 8");
  EXPECT_EQ(
      message_of([] { Mesh({.data = 4}, 6); }),
      "parallel: data 4 x tensor 1 x pipeline 1 = 4 ranks, but 6 were started; start 4 or set "
      "parallel.data to 0");
  EXPECT_EQ(message_of([] { Mesh({.data = 0, .tensor = 0}, 6); }),
            "parallel: at most one of data, tensor and pipeline may be 0 (what is left)");
  EXPECT_EQ(message_of([] { Mesh({.data = -1}, 6); }), "parallel.data (-1) must not be negative");
}

TEST(BatchSplit, CutsTheBatchIntoRanksAndMicroBatches) {
  const BatchSplit split = split_batch(120, 10, 4);
  EXPECT_EQ(split.per_rank, 30);
  EXPECT_EQ(split.micro_batches, 3);
  EXPECT_EQ(split.offset(3), 90);
  EXPECT_EQ(split_batch(120, 0, 3).micro_batch, 40);
}

TEST(BatchSplit, NamesTheNearestValuesThatDivide) {
  EXPECT_EQ(
      message_of([] { split_batch(120, 0, 7); }),
      "train.global_batch (120) does not divide over 7 data ranks; nearest: 119, 126, or start "
      "another number of ranks");
  EXPECT_EQ(
      message_of([] { split_batch(3, 0, 4); }),
      "train.global_batch (3) does not divide over 4 data ranks; nearest: 4, or start another "
      "number of ranks");
  EXPECT_EQ(
      message_of([] { split_batch(256, 6, 1); }),
      "train.micro_batch (6) must divide a rank's share of the batch (256 = global batch 256 / "
      "1 data ranks); nearest: 4, 8");
  EXPECT_EQ(
      message_of([] { split_batch(30, 40, 1); }),
      "train.micro_batch (40) must divide a rank's share of the batch (30 = global batch 30 / "
      "1 data ranks); nearest: 30");
}

// Neighbouring leaves on one rank, or in turn: every row once, and micro-batches within a leaf.
TEST(Leaves, TileTheGlobalBatch) {
  for (const int zero : {0, 2}) {
    std::vector<int> times(48);
    for (int rank = 0; rank < 4; ++rank) {
      const BatchSplit split = split_leaves(48, 3, 4, 8, zero);
      EXPECT_EQ(split.leaves, 2);
      EXPECT_EQ(split.micro_batches, 4);
      EXPECT_EQ(split.leaf_micro_batches(), 2);
      for (int number = 0; number < split.micro_batches; ++number) {
        const int64_t row = split.first_row(rank, number);
        const int64_t leaf = zero < 2 ? 2 * rank + number / 2 : number / 2 * 4 + rank;
        EXPECT_EQ(row / 6, leaf);
        for (int64_t r = row; r < row + 3; ++r) ++times[r];
      }
    }
    EXPECT_EQ(times, std::vector<int>(48, 1));
  }
  EXPECT_EQ(split_leaves(48, 0, 2, 8, 0).micro_batch, 6);
}

TEST(Leaves, NameTheNearestValuesThatFit) {
  EXPECT_EQ(
      message_of([] { split_leaves(100, 0, 1, 8, 0); }),
      "train.virtual_shards (8) must be a power of two that divides train.global_batch (100); "
      "nearest: 4");
  EXPECT_EQ(
      message_of([] { split_leaves(48, 0, 3, 8, 0); }),
      "train.determinism LAYOUT: 3 data ranks must divide train.virtual_shards (8), a power of "
      "two; nearest: 2, 4 data ranks");
  EXPECT_EQ(message_of([] { split_leaves(48, 4, 2, 8, 0); }),
            "train.micro_batch (4) must divide a virtual shard (6 = global batch 48 / 8 virtual "
            "shards); nearest: 3, 6");
}

}  // namespace
}  // namespace trireme::parallel

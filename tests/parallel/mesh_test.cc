#include "parallel/mesh.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>

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

}  // namespace
}  // namespace trireme::parallel

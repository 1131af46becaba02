#include "launcher/checkpoint/reshard.h"

#include <gtest/gtest.h>

#include <set>

#include "launcher/checkpoint/diff.h"
#include "launcher/checkpoint/verify.h"
#include "small_checkpoint.h"

namespace trireme::launcher {
namespace {

namespace fs = std::filesystem;

const std::vector<WriterLayout> kLayouts = {
    {},
    {.data = 2},
    {.data = 3, .zero = 1},
    {.data = 8, .zero = 2},
    {.data = 5, .zero = 3},
    {.tensor = 2},
    {.tensor = 3},
    {.pipeline = 2},
    {.pipeline = 5},
    {.data = 2, .tensor = 2, .pipeline = 2},
    {.data = 2, .tensor = 3, .zero = 3},
    {.data = 2, .pipeline = 3, .zero = 1},
};

void expect_equal(const fs::path& a, const fs::path& b) {
  CheckpointReader left(a), right(b);
  const CheckpointDifference difference = compare(left, right);
  EXPECT_TRUE(difference.equal()) << a << " " << b;
  EXPECT_EQ(difference.tensors.size(), small_tensors().size());
}

TEST(Reshard, EveryLayoutToEveryOther) {
  const TemporaryFolder folder;
  write_small(folder / "original", 2);
  for (size_t i = 0; i < kLayouts.size(); ++i) {
    const fs::path from = folder / std::to_string(i);
    CheckpointReader original(folder / "original");
    reshard(original, kLayouts[i], from);
    EXPECT_EQ(CheckpointReader(from).manifest().info.layout, kLayouts[i]);
    EXPECT_EQ(std::ssize(CheckpointReader(from).manifest().shards), kLayouts[i].world());
    EXPECT_TRUE(verify_checkpoint(from).problems.empty());
    expect_equal(folder / "original", from);
    for (size_t j = 0; j < kLayouts.size(); ++j) {
      if (i == j) continue;
      CheckpointReader reader(from);
      reshard(reader, kLayouts[j], folder / "to");
      expect_equal(folder / "original", folder / "to");
      fs::remove_all(folder / "to");
    }
  }
}

// Held by the ranks of `held`, as many elements as a rank writes.
std::vector<int64_t> written_by(const CheckpointPlan& plan) {
  std::vector<int64_t> elements;
  for (const auto& shard : plan.shards) {
    elements.push_back(0);
    for (const Piece& piece : shard) elements.back() += piece.box.elements();
  }
  return elements;
}

TEST(SplitHeld, ARankWritesRunsOfWhatItHoldsAndReplicasShareTheWork) {
  const std::vector<TensorSpec> tensors = {{.name = "w", .shape = {8, 6}},
                                           {.name = "b", .shape = {7}}};
  const auto columns = [](int64_t begin, int64_t end) {
    return Box{.rank = 2, .origin = {0, begin}, .extent = {8, end - begin}};
  };
  const Box whole_b = whole_box(tensors[1].shape);
  // Two tensor ranks by two data ranks: w cut along its columns, b held by all.
  const Holdings held = {{{0, columns(0, 2)}, {1, whole_b}},
                         {{0, columns(2, 6)}, {1, whole_b}},
                         {{0, columns(0, 2)}, {1, whole_b}},
                         {{0, columns(2, 6)}, {1, whole_b}}};
  const CheckpointPlan plan = split_held(tensors, held);  // checks that each element is there once
  EXPECT_EQ(written_by(plan), (std::vector<int64_t>{8 + 1, 16 + 2, 8 + 2, 16 + 2}));
  for (size_t rank = 0; rank < held.size(); ++rank)
    for (const Piece& piece : plan.shards[rank]) {
      const auto within = [&](const Piece& mine) {
        return mine.tensor == piece.tensor && intersect(mine.box, piece.box) == piece.box;
      };
      EXPECT_EQ(std::ranges::count_if(held[rank], within), 1);
    }
}

TEST(SplitHeld, RefusesGapsAndOverlaps) {
  const std::vector<TensorSpec> tensors = {{.name = "w", .shape = {4, 4}}};
  const auto rows = [](int64_t begin, int64_t end) {
    return Piece{0, {.rank = 2, .origin = {begin, 0}, .extent = {end - begin, 4}}};
  };
  EXPECT_EQ(refusal_of([&] {
              split_held(tensors, {{rows(0, 2)}, {rows(3, 4)}});
            }),
            "checkpoint: the pieces of tensor 'parameter/w' overlap or leave a gap");
  EXPECT_EQ(refusal_of([&] {
              split_held(tensors, {{rows(0, 3)}, {rows(2, 4)}});
            }),
            "checkpoint: the pieces of tensor 'parameter/w' overlap or leave a gap");
  EXPECT_THROW(split_held(tensors, {{rows(0, 3)}, {rows(0, 4)}}), SystemError);
}

// Of a plain split over the data ranks nobody holds more than a rank of the layout would.
TEST(Reshard, StagesAndRangesAreEven) {
  std::vector<TensorSpec> tensors;
  for (int i = 0; i < 12; ++i)
    tensors.push_back({.name = fmt::format("block{}/weight", i), .shape = {16, 16}});
  const WriterLayout layout{.data = 2, .tensor = 4, .pipeline = 3};
  const std::vector<int64_t> written =
      written_by(split_held(tensors, holdings_of(tensors, layout)));
  EXPECT_EQ(written, std::vector<int64_t>(24, 12 * 16 * 16 / 24));
}

TEST(Reshard, TooManyRanksAreRefused) {
  EXPECT_THROW(holdings_of(small_tensors(), {.data = 1 << 10, .tensor = 1 << 10}), InvalidArgument);
}

}  // namespace
}  // namespace trireme::launcher

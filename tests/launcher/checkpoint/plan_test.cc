#include "launcher/checkpoint/plan.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "small_checkpoint.h"

namespace trireme::launcher {
namespace {

using core::DType;
using core::Shape;

TEST(Plan, SplitsEveryElementOnceAndEvenly) {
  const std::vector<TensorSpec> tensors = small_tensors();
  int64_t total = 0;
  for (const TensorSpec& tensor : tensors) total += tensor.shape.elements();
  for (const int shards : {1, 2, 3, 7, 40, 331, 500}) {
    const CheckpointPlan plan = split_replicated(tensors, shards);
    ASSERT_EQ(std::ssize(plan.shards), shards);
    int64_t all = 0;
    for (const auto& pieces : plan.shards) {
      int64_t elements = 0;
      for (const Piece& piece : pieces) elements += piece.box.elements();
      EXPECT_GE(elements, total / shards);
      EXPECT_LE(elements, total / shards + 1);
      all += elements;
    }
    EXPECT_EQ(all, total);  // and check_plan found every element in one piece
  }
}

TEST(Plan, KeysNameTheSlice) {
  const CheckpointPlan plan =
      split_replicated({{"w", TensorRole::kMoment2, DType::kF32, {3, 4}}}, 2);
  ASSERT_EQ(plan.shards[0].size(), 2u);
  EXPECT_EQ(plan.key(plan.shards[0][0]), "moment2/w[0:1,0:4]");
  EXPECT_EQ(plan.key(plan.shards[0][1]), "moment2/w[1:2,0:2]");
  EXPECT_EQ(plan.key({0, whole_box({3, 4})}), "moment2/w");
}

TEST(Plan, CoverageIsFoundByElement) {
  // All ways to give three of the eight elements of a 2 x 2 x 2 tensor's boxes another place: right
  // if and only if every element is there once.
  const Shape shape{2, 2, 2};
  const auto unit = [](int64_t i) {
    return Box{.rank = 3, .origin = {i / 4, i / 2 % 2, i % 2}, .extent = {1, 1, 1}};
  };
  for (int a = 0; a < 8; ++a)
    for (int b = 0; b < 8; ++b)
      for (int c = 0; c < 8; ++c) {
        std::vector<int> places = {a, b, c, 3, 4, 5, 6, 7};
        CheckpointPlan plan{.tensors = {{"w", TensorRole::kParameter, DType::kF32, shape}},
                            .shards = {{}}};
        for (const int place : places) plan.shards[0].push_back({0, unit(place)});
        std::ranges::sort(places);
        const bool right = std::ranges::adjacent_find(places) == places.end();
        ASSERT_EQ(refusal_of([&] { check_plan(plan, "x"); }),
                  right ? "" : "x: the pieces of tensor 'parameter/w' overlap or leave a gap");
      }
}

TEST(Plan, TwoThatOverlapAsMuchAsTheyMissAreRefused) {
  // As many elements as the tensor has, but one twice and one not at all.
  CheckpointPlan plan{.tensors = {{"w", TensorRole::kParameter, DType::kF32, {4}}},
                      .shards = {{{0, {.rank = 1, .origin = {0}, .extent = {2}}},
                                  {0, {.rank = 1, .origin = {1}, .extent = {2}}}}}};
  EXPECT_EQ(refusal_of([&] { check_plan(plan, "x"); }),
            "x: the pieces of tensor 'parameter/w' overlap or leave a gap");
}

TEST(Plan, RefusesWhatNoCheckpointMayHold) {
  const auto refused = [](TensorSpec tensor) {
    return refusal_of([&] { split_replicated({tensor}, 1); });
  };
  EXPECT_EQ(refused({"", TensorRole::kParameter, DType::kF32, {1}}),
            "checkpoint: the name of tensor 0 has 0 bytes, expected 1 to 512");
  EXPECT_EQ(refused({std::string(513, 'a'), TensorRole::kParameter, DType::kF32, {1}}),
            "checkpoint: the name of tensor 0 has 513 bytes, expected 1 to 512");
  EXPECT_EQ(refused({"a[0:1]", TensorRole::kParameter, DType::kF32, {1}}),
            "checkpoint: the name of tensor 0 holds more than letters, digits and ._-/+:@");
  EXPECT_EQ(refused({"a", TensorRole::kParameter, DType::kF16, {1}}),
            "checkpoint: tensor 'parameter/a' is of f16, expected f32");
  EXPECT_EQ(refused({"a", TensorRole::kParameter, DType::kF32, {3, 0}}),
            "checkpoint: tensor 'parameter/a' has no element: its shape is (3, 0)");
  EXPECT_EQ(refused({"a", TensorRole::kParameter, DType::kF32, {int64_t{1} << 61}}),
            "checkpoint: tensor 'parameter/a' of shape (2305843009213693952) brings the whole past "
            "2^62 bytes");
  EXPECT_EQ(refusal_of([] {
              split_replicated({small_tensors()[0], small_tensors()[0]}, 1);
            }),
            "checkpoint: tensor 'parameter/conv1/weight' is there twice");
  EXPECT_EQ(refusal_of([] { split_replicated({}, 1); }),
            "checkpoint: has 0 tensors, expected 1 to 262144");
  EXPECT_EQ(refusal_of([] { split_replicated(small_tensors(), 0); }),
            "checkpoint: expects 1 to 65536 shards, got 0");
}

}  // namespace
}  // namespace trireme::launcher

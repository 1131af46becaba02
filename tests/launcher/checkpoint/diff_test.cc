#include "launcher/checkpoint/diff.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "small_checkpoint.h"

namespace trireme::launcher {
namespace {

using core::DType;
using core::Shape;
using Kind = TensorDifference::Kind;

CheckpointDifference compare_folders(const TemporaryFolder& a, const TemporaryFolder& b) {
  CheckpointReader left(a.path()), right(b.path());
  return compare(left, right);
}

TEST(Diff, EqualWhateverTheShards) {
  const TemporaryFolder a;
  write_small(a.path(), 1);
  for (const int shards : {1, 2, 3, 7}) {
    const TemporaryFolder b;
    write_small(b.path(), shards);
    const CheckpointDifference difference = compare_folders(a, b);
    EXPECT_TRUE(difference.equal());
    EXPECT_EQ(difference.tensors.size(), small_tensors().size());
    for (size_t i = 0; i < small_tensors().size(); ++i)
      EXPECT_EQ(difference.tensors[i].elements, small_tensors()[i].shape.elements());
  }
}

TEST(Diff, FindsWhatDiffersAndByHowMuch) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const Shape large{1, 1 << 20, 3};  // more than is compared at once
  const auto spec = [](const std::string& name, const Shape& shape) {
    return TensorSpec{name, TensorRole::kParameter, DType::kF32, shape};
  };
  std::vector<TensorSpec> in_a = {spec("equal", {3}), spec("zero", {1}), spec("large", large),
                                  spec("shape", {2}), spec("nan", {3}),  spec("infinite", {2}),
                                  spec("only_a", {1})};
  auto values = random_values(in_a);
  values[0] = {1, kNan, kInfinity};
  values[1] = {0.0f};
  values[4] = {kNan, 1, 2};
  values[5] = {kInfinity, 1};
  const TemporaryFolder a, b;
  write_checkpoint(a.path(), split_replicated(in_a, 2), values);

  std::vector<TensorSpec> in_b = in_a;
  in_b[3].shape = Shape{3};
  in_b[6].name = "only_b";
  values[1] = {-0.0f};
  values[2][5] += 0.5f;
  values[2][3'000'000] -= 8.0f;
  values[3].resize(3);
  values[4] = {kNan, kNan, 2.25f};
  values[5] = {-kInfinity, 1};
  std::swap(in_b[0], in_b[6]);  // the order does not matter
  std::swap(values[0], values[6]);
  write_checkpoint(b.path(), split_replicated(in_b, 3), values);

  const CheckpointDifference difference = compare_folders(a, b);
  EXPECT_FALSE(difference.equal());
  EXPECT_TRUE(difference.facts.empty());
  const auto& found = difference.tensors;
  ASSERT_EQ(found.size(), 8u);
  EXPECT_EQ(found[0].kind, Kind::kEqual);
  EXPECT_EQ(found[1].kind, Kind::kValues);  // by its bits
  EXPECT_EQ(found[1].max_abs, 0);
  EXPECT_EQ(found[2].kind, Kind::kValues);
  EXPECT_EQ(found[2].different, 2);
  EXPECT_EQ(found[2].elements, large.elements());
  EXPECT_NEAR(found[2].max_abs, 8, 1e-5);
  EXPECT_EQ(found[3].kind, Kind::kShape);
  EXPECT_EQ(found[4].different, 2);
  EXPECT_EQ(found[4].nan_against_another, 1);
  EXPECT_EQ(found[4].max_abs, 0.25);
  EXPECT_EQ(found[5].max_abs, kInfinity);
  EXPECT_EQ(found[6].kind, Kind::kOnlyInA);
  EXPECT_EQ(found[7].kind, Kind::kOnlyInB);
  EXPECT_EQ(found[7].key, "parameter/only_b");
}

TEST(Diff, TellsCountersAndData) {
  const TemporaryFolder a, b;
  write_small(a.path(), 1);
  Manifest manifest = write_small(b.path(), 1);
  manifest.counters.applied_steps -= 1;
  manifest.counters.best_value = std::nan("");
  manifest.info.seed = 8;
  manifest.info.job_name = "another";  // not compared
  write_file(b / kManifestName, encode(manifest));
  const CheckpointDifference difference = compare_folders(a, b);
  EXPECT_FALSE(difference.equal());
  EXPECT_EQ(difference.facts, (std::vector<std::string>{"applied_steps: 175 | 174",
                                                        "best_value: 0.125 | nan", "seed: 7 | 8"}));
}

}  // namespace
}  // namespace trireme::launcher

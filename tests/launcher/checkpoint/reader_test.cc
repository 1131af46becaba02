#include <gtest/gtest.h>

#include <algorithm>

#include "launcher/checkpoint/checkpoint_reader.h"
#include "small_checkpoint.h"

namespace trireme::launcher {
namespace {

using core::DType;
using core::Shape;

// A box's elements of a tensor held whole, by the definition.
std::vector<float> cut_out(const std::vector<float>& whole, const Shape& shape, const Box& box) {
  std::vector<float> values;
  for (int64_t i = 0; i < box.elements(); ++i) {
    int64_t rest = i, at = 0, stride = 1;
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
      at += (box.origin[axis] + rest % box.extent[axis]) * stride;
      rest /= box.extent[axis];
      stride *= shape[axis];
    }
    values.push_back(whole[at]);
  }
  return values;
}

Box random_box(const Shape& shape, std::mt19937& random) {
  Box box{.rank = shape.rank()};
  for (int axis = 0; axis < shape.rank(); ++axis) {
    box.origin[axis] = static_cast<int64_t>(random() % shape[axis]);
    box.extent[axis] = 1 + static_cast<int64_t>(random() % (shape[axis] - box.origin[axis]));
  }
  return box;
}

void expect_reads(CheckpointReader& reader, const std::vector<std::vector<float>>& values,
                  int boxes) {
  std::mt19937 random(3);
  for (int tensor = 0; tensor < std::ssize(values); ++tensor) {
    const TensorSpec& spec = reader.manifest().plan.tensors[tensor];
    EXPECT_EQ(reader.find(spec.name, spec.role), tensor);
    EXPECT_EQ(read_whole(reader, tensor), values[tensor]);
    for (int i = 0; i < boxes; ++i) {
      const Box box = random_box(spec.shape, random);
      std::vector<float> read(box.elements() + 1, -1.0f);
      reader.read(tensor, box, read.data());
      EXPECT_EQ(read.back(), -1.0f);  // nothing behind it was touched
      read.pop_back();
      ASSERT_EQ(read, cut_out(values[tensor], spec.shape, box)) << spec.key() << box.str();
    }
  }
}

TEST(CheckpointReader, ReadsAnyBoxOfAnyLayout) {
  const std::vector<TensorSpec> tensors = small_tensors();
  const auto values = random_values(tensors);
  for (const int shards : {1, 2, 3, 7, 40}) {
    const TemporaryFolder folder;
    const Manifest written =
        write_checkpoint(folder.path(), split_replicated(tensors, shards), values);
    CheckpointReader reader(folder.path());
    EXPECT_EQ(reader.manifest(), written);
    EXPECT_EQ(reader.find("conv1/weight", TensorRole::kState), -1);
    expect_reads(reader, values, 50);
  }
}

TEST(CheckpointReader, ReadsAcrossBlocks) {
  const std::vector<TensorSpec> tensors = {
      {"a", TensorRole::kParameter, DType::kF32, {3}},
      {"w", TensorRole::kParameter, DType::kF32, {601, 1301}},
      {"v", TensorRole::kParameter, DType::kF32, {7, 3, 11, 5003}}};
  const auto values = random_values(tensors);
  for (const int shards : {1, 3}) {
    const TemporaryFolder folder;
    write_checkpoint(folder.path(), split_replicated(tensors, shards), values);
    CheckpointReader reader(folder.path());
    expect_reads(reader, values, 8);
  }
}

TEST(CheckpointReader, ReadsColumnsThatAnotherLayoutCut) {
  // As tensor parallelism would write: a matrix by columns on two ranks, one of whose halves is cut
  // by rows again.
  const std::vector<TensorSpec> tensors = {{"w", TensorRole::kParameter, DType::kF32, {6, 10}}};
  const auto values = random_values(tensors);
  CheckpointPlan plan{.tensors = tensors,
                      .shards = {{{0, {.rank = 2, .origin = {0, 0}, .extent = {6, 4}}}},
                                 {{0, {.rank = 2, .origin = {4, 4}, .extent = {2, 6}}},
                                  {0, {.rank = 2, .origin = {0, 4}, .extent = {4, 6}}}}},
                      .step = 4};
  const TemporaryFolder folder;
  Manifest manifest = describe(plan);
  for (int shard = 0; shard < 2; ++shard) {
    std::vector<std::vector<float>> packed;
    std::vector<const std::byte*> data;
    for (const Piece& piece : plan.shards[shard])
      packed.push_back(cut_out(values[0], tensors[0].shape, piece.box));
    for (const auto& values_of_piece : packed)
      data.push_back(reinterpret_cast<const std::byte*>(values_of_piece.data()));
    manifest.shards.push_back(write_shard(folder.path(), shard, plan, data));
  }
  write_file(folder / kManifestName, encode(manifest));
  CheckpointReader reader(folder.path());
  expect_reads(reader, values, 100);
}

TEST(CheckpointReader, UsesNoByteWhoseChecksumIsWrong) {
  const std::vector<TensorSpec> tensors = {
      {"w", TensorRole::kParameter, DType::kF32, {3, 300'000}}};
  const TemporaryFolder folder;
  write_checkpoint(folder.path(), split_replicated(tensors, 1), random_values(tensors));
  std::string bytes = read_file(folder / shard_name(0));
  bytes[(1 << 20) + 5] ^= 4;
  write_file(folder / shard_name(0), bytes);
  CheckpointReader reader(folder.path());  // structure says nothing of it
  std::vector<float> row(300'000);
  const auto read_row = [&](int64_t row_number) {
    return refusal_of(
        [&] {
          reader.read(0, {.rank = 2, .origin = {row_number, 0}, .extent = {1, 200'000}},
                      row.data());
        },
        folder.path());
  };
  EXPECT_EQ(read_row(0), "");
  for (int again = 0; again < 2; ++again)
    EXPECT_EQ(read_row(1),
              "shard-00000.safetensors: is damaged in its bytes 1048576 to 2097151: their checksum "
              "is not the one written");
  EXPECT_EQ(read_row(2), "");
}

}  // namespace
}  // namespace trireme::launcher

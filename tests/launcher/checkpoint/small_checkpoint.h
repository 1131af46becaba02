// A small checkpoint in a fresh folder, and what tests do to its files.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "launcher/checkpoint/checkpoint_reader.h"
#include "launcher/checkpoint/manifest.h"
#include "written_shard.h"

namespace trireme::launcher {

// Removed with all it holds.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name =
        (std::filesystem::temp_directory_path() / "trireme-checkpoint-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw SystemError("no temporary folder");
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

inline void write_file(const std::filesystem::path& path, const std::string& bytes) {
  std::filesystem::remove(path);
  std::ofstream(path, std::ios::binary) << bytes;
}

inline std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

// What `action` throws, without the folder's name; "" if nothing.
inline std::string refusal_of(const std::function<void()>& action,
                              const std::filesystem::path& folder = {}) {
  try {
    action();
    return "";
  } catch (const InvalidArgument& error) {
    if (error.code() != ExitCode::kBadCheckpoint) return "wrong exit code";
    std::string text = error.what();
    const std::string prefix = folder.string() + "/";
    for (size_t at; !folder.empty() && (at = text.find(prefix)) != std::string::npos;)
      text.erase(at, prefix.size());
    return text;
  }
}

// Tensors of every rank, of odd sizes, one of a single element, some of one name in several roles.
inline std::vector<TensorSpec> small_tensors() {
  using core::DType;
  using core::Shape;
  return {{"conv1/weight", TensorRole::kParameter, DType::kF32, Shape{5, 3, 3, 1}},
          {"conv1/bias", TensorRole::kParameter, DType::kF32, Shape{5}},
          {"fc/weight", TensorRole::kParameter, DType::kF32, Shape{7, 13}},
          {"scale", TensorRole::kParameter, DType::kF32, Shape{}},
          {"deep", TensorRole::kState, DType::kF32, Shape{2, 1, 3, 2, 1, 4}},
          {"conv1/weight", TensorRole::kMoment1, DType::kF32, Shape{5, 3, 3, 1}},
          {"fc/weight", TensorRole::kMoment2, DType::kF32, Shape{7, 13}}};
}

inline std::vector<std::vector<float>> random_values(const std::vector<TensorSpec>& tensors,
                                                     uint32_t seed = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<std::vector<float>> values;
  for (const TensorSpec& tensor : tensors) {
    values.emplace_back(tensor.shape.elements());
    for (float& value : values.back()) value = normal(random);
  }
  return values;
}

inline Manifest describe(const CheckpointPlan& plan) {
  Manifest manifest;
  manifest.info = {.layout = {.data = static_cast<int32_t>(plan.shards.size())},
                   .seed = 7,
                   .data_identity = "digits (4000 samples)",
                   .global_batch = 120,
                   .trireme_version = "0.1.0",
                   .job_name = "small"};
  manifest.counters = {.attempted_steps = plan.step,
                       .applied_steps = plan.step - plan.step / 8,
                       .non_finite_steps = plan.step / 8,
                       .best_value = 0.125,
                       .best_step = plan.step / 2};
  manifest.plan = plan;
  return manifest;
}

// Writes all of `plan`, of tensors that are held whole, and its manifest.
inline Manifest write_checkpoint(const std::filesystem::path& folder, CheckpointPlan plan,
                                 const std::vector<std::vector<float>>& values,
                                 int64_t step = 200) {
  std::filesystem::create_directories(folder);
  plan.step = step;
  Manifest manifest = describe(plan);
  for (int shard = 0; shard < std::ssize(plan.shards); ++shard) {
    std::vector<const std::byte*> data;
    for (const Piece& piece : plan.shards[shard])
      data.push_back(reinterpret_cast<const std::byte*>(
          values[piece.tensor].data() +
          first_element(piece.box, plan.tensors[piece.tensor].shape)));
    manifest.shards.push_back(write_shard(folder, shard, plan, data));
  }
  write_file(folder / kManifestName, encode(manifest));
  return manifest;
}

inline Manifest write_small(const std::filesystem::path& folder, int shards, uint32_t seed = 1,
                            int64_t step = 200) {
  const std::vector<TensorSpec> tensors = small_tensors();
  return write_checkpoint(folder, split_replicated(tensors, shards), random_values(tensors, seed),
                          step);
}

inline std::vector<float> read_whole(CheckpointReader& reader, int tensor) {
  const core::Shape& shape = reader.manifest().plan.tensors[tensor].shape;
  std::vector<float> values(shape.elements());
  reader.read(tensor, whole_box(shape), values.data());
  return values;
}

// Reads every tensor.
inline void load(const std::filesystem::path& folder) {
  CheckpointReader reader(folder);
  for (int tensor = 0; tensor < std::ssize(reader.manifest().plan.tensors); ++tensor)
    read_whole(reader, tensor);
}

}  // namespace trireme::launcher

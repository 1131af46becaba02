// Small language models, and checkpoints with their parameters.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "launcher/export/language_model.h"
#include "tests/launcher/checkpoint/small_checkpoint.h"

namespace trireme::launcher {

inline LanguageModel small_gpt(bool tied = true) {
  return {.family = LanguageModel::Family::kGpt2,
          .layers = 2,
          .width = 12,
          .heads = 3,
          .kv_heads = 3,
          .hidden = 20,
          .context = 9,
          .vocabulary = 31,
          .tied = tied};
}

inline LanguageModel small_llama(bool tied = false) {
  return {.family = LanguageModel::Family::kLlama,
          .layers = 3,
          .width = 16,
          .heads = 4,
          .kv_heads = 2,
          .hidden = 28,
          .context = 11,
          .vocabulary = 29,
          .epsilon = 1e-6f,
          .theta = 5000,
          .tied = tied};
}

// Parameters with random values, and their first moments, which nobody exports.
inline Manifest write_model(const std::filesystem::path& folder, const LanguageModel& model,
                            int shards) {
  std::vector<TensorSpec> tensors = correspondence(model, "test").parameters;
  for (size_t i = 0, all = tensors.size(); i < all; ++i) {
    tensors.push_back(tensors[i]);
    tensors.back().role = TensorRole::kMoment1;
  }
  return write_checkpoint(folder, split_replicated(tensors, shards), random_values(tensors));
}

// Every parameter of a checkpoint, by name.
inline std::map<std::string, std::vector<float>> parameters_of(
    const std::filesystem::path& folder) {
  CheckpointReader reader(folder);
  std::map<std::string, std::vector<float>> all;
  for (int i = 0; i < std::ssize(reader.manifest().plan.tensors); ++i)
    if (const TensorSpec& tensor = reader.manifest().plan.tensors[i];
        tensor.role == TensorRole::kParameter)
      all[tensor.name] = read_whole(reader, i);
  return all;
}

}  // namespace trireme::launcher

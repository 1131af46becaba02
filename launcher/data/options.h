// Where samples come from, as plain structs: what launcher/job makes of the job file's data { }.
//
// The defaults here are the ones that users get; the job file's comments repeat them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace trireme::launcher {

// x[h, w, c] = (pixel[h, w, c] / 255 - mean[c]) / stddev[c], for u8 pixels.
//
// One value for each channel, or one for all of them. Empty: mean 0, stddev 1.
struct Normalization {
  std::vector<float> mean;
  std::vector<float> stddev;
  bool operator==(const Normalization&) const = default;
};

// Images and labels in the IDX format of MNIST, plain or gzip'ed (told by content, not by name).
struct IdxOptions {
  std::string images;  // u8, rank 3 (N, H, W) or 4 (N, H, W, C)
  std::string labels;  // u8, rank 1 (N)
  int64_t classes = 10;
  Normalization normalization;
  bool operator==(const IdxOptions&) const = default;
};

// Classes that can be learnt, made from a seed: a patchy prototype for each class plus noise.
struct SyntheticOptions {
  int64_t samples = 4096;
  int64_t height = 28;
  int64_t width = 28;
  int64_t channels = 1;
  int64_t classes = 10;
  float noise = 0.5f;  // standard deviation; the prototypes have 1
  uint64_t seed = 1;
  // Number of the first sample. An eval set that starts where the training set ends has the same
  // classes and none of its samples.
  int64_t first_sample = 0;
  bool operator==(const SyntheticOptions&) const = default;
};

// Tokens in shards: nanoGPT's layout or llm.c's, told by content (token_file.h). Sample n of a
// shard is tokens [n S, n S + S) and, as its labels, the tokens after each: [n S + 1, n S + S + 1).
struct TokensOptions {
  std::vector<std::string> files;  // or patterns, as of a shell: "train_*.bin"
  int64_t vocabulary = 0;          // the model's unless given
  int64_t context = 0;             // S; the model's unless given
  bool operator==(const TokensOptions&) const = default;
};

// Plain text: each byte is a token, so the vocabulary is 256.
struct TextOptions {
  static constexpr int64_t kVocabulary = 256;
  std::vector<std::string> files;
  int64_t context = 0;
  bool operator==(const TextOptions&) const = default;
};

// A dataset that an outside project brings: the name of its factory, and whatever it reads.
struct CustomDatasetOptions {
  std::string name;
  std::map<std::string, std::string> parameters;
  bool operator==(const CustomDatasetOptions&) const = default;
};

using DatasetOptions =
    std::variant<IdxOptions, SyntheticOptions, TokensOptions, TextOptions, CustomDatasetOptions>;

struct DataOptions {
  DatasetOptions train;
  std::optional<DatasetOptions> eval;
  // Without `eval`: the part of `train` that is held back for evaluation, in [0, 1). 0: none.
  double validation_fraction = 0;
  bool operator==(const DataOptions&) const = default;
};

}  // namespace trireme::launcher

// The manifest: what a checkpoint is. A checkpoint exists if and only if its manifest does and its
// shards are as it says. docs/checkpoint.md has the bytes.
//
// Nothing of it is believed before it is checked: sizes against what is there, counts against
// limits.h, products for overflow, every element of every tensor present once. It holds no path.
// Checksums find accidents, not forgery.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "launcher/checkpoint/plan.h"
#include "launcher/checkpoint/shard.h"

namespace trireme::launcher {

constexpr char kManifestName[] = "manifest.pb";
constexpr char kManifestTextName[] = "manifest.txtpb";  // for people, never read
constexpr uint32_t kCheckpointVersion = 1;

// How the run that wrote it was laid out: sizes of the mesh's axes. Told, not needed for reading.
struct WriterLayout {
  int32_t data = 1, tensor = 1, pipeline = 1;
  int32_t zero = 0;  // 0 to 3

  int64_t world() const { return int64_t{data} * tensor * pipeline; }
  bool operator==(const WriterLayout&) const = default;
};

struct ManifestInfo {
  uint32_t version = kCheckpointVersion;
  WriterLayout layout;
  uint64_t seed = 0;
  std::string data_identity;  // texts: printable UTF-8, at most kMaxTextBytes
  int64_t global_batch = 1;
  std::string trireme_version, job_name;

  bool operator==(const ManifestInfo&) const = default;
};

// What a run counts, and goes on counting from. None is above attempted_steps.
struct Counters {
  int64_t attempted_steps = 0;  // the checkpoint's step: equals CheckpointPlan::step
  int64_t applied_steps = 0, non_finite_steps = 0, refused_in_a_row = 0;
  double best_value = 0;  // kept bit by bit; means something if best_step >= 0
  int64_t best_step = -1, evaluations_since_best = 0;
  // What the evaluation after this very step gave, the smaller the better; NaN: there was none.
  double judged = std::numeric_limits<double>::quiet_NaN();
  // Of f16 gradients: the next step's scale is 2^power. -1: there is none.
  int64_t loss_scale_power = -1, steps_since_scaled = 0;

  bool operator==(const Counters& other) const;  // doubles by their bits
};

struct Manifest {
  ManifestInfo info;
  Counters counters;
  CheckpointPlan plan;
  std::vector<ShardRecord> shards;  // as many as plan.shards

  int64_t bytes() const;  // of all shards
  bool operator==(const Manifest&) const = default;
};

// The whole file: magic, length, payload, XXH3-128. decode(encode(m)) == m. Throws InvalidArgument
// (kBadCheckpoint) for what decode would refuse, so that nothing unreadable is written.
std::string encode(const Manifest& manifest);

// Throws InvalidArgument (kBadCheckpoint), one line that opens with `name`. Unknown, missing and
// doubled fields are refused. Takes memory in proportion to file.size().
Manifest decode(std::span<const std::byte> file, const std::string& name);

// For people (manifest.txtpb): the same without the block checksums.
std::string text_of(const Manifest& manifest);

}  // namespace trireme::launcher

#include "launcher/checkpoint/manifest_check.h"

#include <nlohmann/json.hpp>

#include "launcher/checkpoint/limits.h"
#include "launcher/checkpoint/refuse.h"

namespace trireme::launcher {
namespace {

// Texts go to terminals: no control character, neither of ASCII nor U+0080 to U+009F.
bool is_printable(const std::string& text) {
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x20 || byte == 0x7f) return false;
    if (byte == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0)
      return false;
  }
  return true;
}

void check_text(const std::string& text, const char* what, const std::string& where) {
  if (std::ssize(text) > kMaxTextBytes)
    refuse(where, "{} has {} bytes, at most {} are allowed", what, text.size(), kMaxTextBytes);
  if (!is_printable(text)) refuse(where, "{} holds control characters", what);
  try {
    (void)nlohmann::json(text).dump();
  } catch (const nlohmann::json::exception&) {
    refuse(where, "{} is not UTF-8", what);
  }
}

void check_info(const ManifestInfo& info, const std::string& where) {
  if (info.version != kCheckpointVersion)
    refuse(where, "is of format version {}, this program knows {}", info.version,
           kCheckpointVersion);
  const WriterLayout& layout = info.layout;
  for (const int64_t axis : {layout.data, layout.tensor, layout.pipeline})
    if (axis < 1 || axis > kMaxWorld)
      refuse(where, "has an axis of {} ranks, expected 1 to {}", axis, kMaxWorld);
  if (int64_t{layout.data} * layout.tensor > kMaxWorld || layout.world() > kMaxWorld)
    refuse(where, "was written by more than {} ranks", kMaxWorld);
  if (layout.zero < 0 || layout.zero > 3)
    refuse(where, "has ZeRO stage {}, expected 0 to 3", layout.zero);
  if (info.global_batch < 1) refuse(where, "has a global batch of {}", info.global_batch);
  check_text(info.data_identity, "data_identity", where);
  check_text(info.trireme_version, "trireme_version", where);
  check_text(info.job_name, "job_name", where);
}

constexpr int64_t kMostLossScalePower = 24;

void check_counters(const Counters& counters, const std::string& where) {
  const auto within = [&](int64_t value, int64_t least, const char* what) {
    if (value < least || value > counters.attempted_steps)
      refuse(where, "{} is {}, expected {} to the {} steps attempted", what, value, least,
             counters.attempted_steps);
  };
  within(counters.attempted_steps, 0, "attempted_steps");
  within(counters.applied_steps, 0, "applied_steps");
  within(counters.non_finite_steps, 0, "non_finite_steps");
  within(counters.refused_in_a_row, 0, "refused_in_a_row");
  within(counters.best_step, -1, "best_step");
  if (counters.evaluations_since_best < 0) refuse(where, "evaluations_since_best is negative");
  if (counters.loss_scale_power < -1 || counters.loss_scale_power > kMostLossScalePower)
    refuse(where, "the loss scale is 2^{}, expected 2^0 to 2^{}", counters.loss_scale_power,
           kMostLossScalePower);
  within(counters.steps_since_scaled, 0, "steps_since_scaled");
}

void check_shard(const Manifest& manifest, int number, const std::string& where) {
  const ShardRecord& shard = manifest.shards[number];
  const std::string name = shard_name(number);
  if (shard.header_bytes < 10 || shard.header_bytes > 8 + kMaxShardHeaderBytes)
    refuse(where, "{} has a header of {} bytes, expected 10 to {}", name, shard.header_bytes,
           8 + kMaxShardHeaderBytes);
  // Pieces are parts of tensors of less than 2^62 bytes together: no overflow.
  int64_t bytes = shard.header_bytes;
  for (const Piece& piece : manifest.plan.shards[number]) bytes += manifest.plan.bytes(piece);
  if (bytes != shard.bytes)
    refuse(where, "{} has {} bytes, but its header and pieces have {}", name, shard.bytes, bytes);
  if (std::ssize(shard.block_checksums) != block_count(shard.bytes))
    refuse(where, "{} has {} block checksums for {} blocks", name, shard.block_checksums.size(),
           block_count(shard.bytes));
}

}  // namespace

void check_manifest(const Manifest& manifest, const std::string& where) {
  check_info(manifest.info, where);
  check_counters(manifest.counters, where);
  check_plan(manifest.plan, where);
  if (manifest.plan.step != manifest.counters.attempted_steps)
    refuse(where, "is of step {}, but {} steps were attempted", manifest.plan.step,
           manifest.counters.attempted_steps);
  if (manifest.shards.size() != manifest.plan.shards.size())
    refuse(where, "has {} shards, but a plan of {}", manifest.shards.size(),
           manifest.plan.shards.size());
  for (int number = 0; number < std::ssize(manifest.shards); ++number)
    check_shard(manifest, number, where);
}

}  // namespace trireme::launcher

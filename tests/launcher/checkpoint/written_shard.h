// A shard of pieces that lie in memory.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

#include "core/base/error.h"
#include "launcher/checkpoint/shard_writer.h"

namespace trireme::launcher {

// data[i] is where the bytes of the shard's i-th piece lie.
inline ShardRecord write_shard(const std::filesystem::path& folder, int number,
                               const CheckpointPlan& plan,
                               std::span<const std::byte* const> data) {
  const std::vector<Piece>& pieces = plan.shards.at(number);
  ensure(data.size() == pieces.size(), "a shard's data are as many as its pieces");
  ShardFile file(folder, number, plan);
  for (size_t i = 0; i < pieces.size(); ++i) file.put(data[i], plan.bytes(pieces[i]));
  return file.finish();
}

}  // namespace trireme::launcher

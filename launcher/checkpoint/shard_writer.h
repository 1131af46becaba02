// Writes shards.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>

#include "launcher/checkpoint/shard.h"

namespace trireme::launcher {

struct WriteHooks {
  // Called after each write with the bytes written so far, on the writing thread. What it throws
  // ends the writing.
  std::function<void(int64_t bytes)> wrote;
};

// Writes shard `number` of the plan into `folder`: a new file (O_EXCL), 0600, in writes of 4 MiB
// from an aligned buffer, checksums on the way, fsync. data[i] is where the bytes of the shard's
// i-th piece lie in memory, row-major. The folder's own entry is not flushed: whoever commits does.
//
// Throws SystemError with the path and the system's words; the file is then left as it is, for
// whoever made the folder.
ShardRecord write_shard(const std::filesystem::path& folder, int number, const CheckpointPlan& plan,
                        std::span<const std::byte* const> data, const WriteHooks& hooks = {});

// Reads shard `number` again and compares every byte's checksum, in a few MiB of memory.
// Throws InvalidArgument (kBadCheckpoint) with the file and the first bad block.
void verify_shard(const std::filesystem::path& folder, int number, const ShardRecord& record);

}  // namespace trireme::launcher

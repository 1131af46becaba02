// Writes shards.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "launcher/base/durable.h"
#include "launcher/checkpoint/shard.h"

namespace trireme::launcher {

// Shard `number` of a plan as a new file in `folder` (O_EXCL, 0600), its pieces put in their order:
// writes of 4 MiB at multiples of 4 MiB, checksums on the way. The folder's own entry is not
// flushed: whoever commits does.
//
// Throws SystemError with the path and the system's words; the file is then left as it is, for
// whoever made the folder.
class ShardFile {
 public:
  // The header is put at once.
  ShardFile(const std::filesystem::path& folder, int number, const CheckpointPlan& plan);

  void put(const void* data, int64_t bytes);
  // Waits until all is on the disk. Once, after the last piece's last byte.
  ShardRecord finish();

 private:
  void flush();
  void write(const std::byte* from, int64_t bytes);

  NewFile file_;
  ShardRecord record_;
  std::unique_ptr<std::byte, void (*)(void*)> buffer_;
  int64_t filled_ = 0;
};

// The same of pieces in memory: data[i] is where the bytes of the shard's i-th piece lie.
ShardRecord write_shard(const std::filesystem::path& folder, int number, const CheckpointPlan& plan,
                        std::span<const std::byte* const> data);

// Reads shard `number` again and compares every byte's checksum, in a few MiB of memory.
// Throws InvalidArgument (kBadCheckpoint) with the file and the first bad block.
void verify_shard(const std::filesystem::path& folder, int number, const ShardRecord& record);

}  // namespace trireme::launcher

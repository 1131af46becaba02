// Writes shards.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <future>
#include <memory>
#include <vector>

#include "launcher/base/durable.h"
#include "launcher/checkpoint/shard.h"

namespace trireme::launcher {

// Shard `number` of a plan as a new file in `folder` (O_EXCL, 0600), its pieces put in their order:
// writes of 4 MiB at multiples of 4 MiB, past the system's cache, checksums on the way. The folder's own entry is not
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
  using Block = std::unique_ptr<std::byte, void (*)(void*)>;

  static Block make_block();
  void flush();

  NewFile file_;
  ShardRecord record_;
  Block filling_, written_;
  int64_t filled_ = 0;
  std::future<void> writing_;  // of `written_`, while `filling_` is filled
};

// Reads shard `number` again and compares every byte's checksum, in a few MiB of memory.
// Throws InvalidArgument (kBadCheckpoint) with the file and the first bad block.
void verify_shard(const std::filesystem::path& folder, int number, const ShardRecord& record);

}  // namespace trireme::launcher

#include "launcher/checkpoint/shard_writer.h"

#include <sys/mman.h>
#include <xxhash.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "core/base/error.h"
#include "launcher/checkpoint/limits.h"

namespace trireme::launcher {
namespace {

constexpr int64_t kWriteBytes = 4 * kBlockBytes;
constexpr size_t kLargePageBytes = size_t{2} << 20;

}  // namespace

ShardFile::ShardFile(const std::filesystem::path& folder, int number, const CheckpointPlan& plan)
    : file_(folder / shard_name(number)), filling_(make_block()), written_(make_block()) {
  const std::string header = shard_header(plan, number);
  record_.header_bytes = std::ssize(header);
  record_.header_hash = XXH3_64bits(header.data(), header.size());
  put(header.data(), std::ssize(header));
}

ShardFile::Block ShardFile::make_block() {
  Block block(static_cast<std::byte*>(std::aligned_alloc(kLargePageBytes, kWriteBytes)), std::free);
  if (!block) throw SystemError("[checkpoint] no memory for a write buffer of 4 MiB");
  // A hint: a disk is told of each page that it fetches.
  ::madvise(block.get(), kWriteBytes, MADV_HUGEPAGE);
  return block;
}

void ShardFile::put(const void* data, int64_t bytes) {
  const auto* from = static_cast<const std::byte*>(data);
  while (bytes > 0) {
    const int64_t part = std::min(bytes, kWriteBytes - filled_);
    std::memcpy(filling_.get() + filled_, from, static_cast<size_t>(part));
    filled_ += part;
    if (filled_ == kWriteBytes) flush();
    from += part;
    bytes -= part;
  }
}

ShardRecord ShardFile::finish() {
  flush();
  file_.flush();
  return std::move(record_);
}

void ShardFile::flush() {
  for (int64_t at = 0; at < filled_; at += kBlockBytes)
    record_.block_checksums.push_back(XXH3_64bits(
        filling_.get() + at, static_cast<size_t>(std::min(kBlockBytes, filled_ - at))));
  record_.bytes += filled_;
  if (writing_.valid()) writing_.get();
  if (filled_ < kWriteBytes) return file_.write(filling_.get(), filled_);
  std::swap(filling_, written_);
  filled_ = 0;
  writing_ = std::async(std::launch::async, [this] {
    file_.write_blocks(written_.get(), kWriteBytes);
    file_.start_flush();  // of a file system that has cached it all the same
  });
}

}  // namespace trireme::launcher

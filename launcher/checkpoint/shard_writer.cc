#include "launcher/checkpoint/shard_writer.h"

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
constexpr size_t kPageBytes = 4096;

}  // namespace

ShardFile::ShardFile(const std::filesystem::path& folder, int number, const CheckpointPlan& plan)
    : file_(folder / shard_name(number)),
      buffer_(static_cast<std::byte*>(std::aligned_alloc(kPageBytes, kWriteBytes)), std::free) {
  if (!buffer_) throw SystemError("[checkpoint] no memory for a write buffer of 4 MiB");
  const std::string header = shard_header(plan, number);
  record_.header_bytes = std::ssize(header);
  record_.header_hash = XXH3_64bits(header.data(), header.size());
  put(header.data(), std::ssize(header));
}

void ShardFile::put(const void* data, int64_t bytes) {
  const auto* from = static_cast<const std::byte*>(data);
  while (bytes > 0) {
    const bool whole = filled_ == 0 && bytes >= kWriteBytes;  // goes without a copy
    const int64_t part = std::min(bytes, kWriteBytes - filled_);
    if (whole) {
      write(from, part);
    } else {
      std::memcpy(buffer_.get() + filled_, from, static_cast<size_t>(part));
      filled_ += part;
      if (filled_ == kWriteBytes) flush();
    }
    from += part;
    bytes -= part;
  }
}

ShardRecord ShardFile::finish() {
  flush();
  file_.flush();
  return std::move(record_);
}

void ShardFile::flush() { write(buffer_.get(), std::exchange(filled_, 0)); }

void ShardFile::write(const std::byte* from, int64_t bytes) {
  for (int64_t at = 0; at < bytes; at += kBlockBytes)
    record_.block_checksums.push_back(
        XXH3_64bits(from + at, static_cast<size_t>(std::min(kBlockBytes, bytes - at))));
  file_.write(from, bytes);
  file_.start_flush();  // while checksums are taken of what follows
  record_.bytes += bytes;
}

ShardRecord write_shard(const std::filesystem::path& folder, int number, const CheckpointPlan& plan,
                        std::span<const std::byte* const> data) {
  const std::vector<Piece>& pieces = plan.shards.at(number);
  ensure(data.size() == pieces.size(), "a shard's data are as many as its pieces");
  ShardFile file(folder, number, plan);
  for (size_t i = 0; i < pieces.size(); ++i) file.put(data[i], plan.bytes(pieces[i]));
  return file.finish();
}

}  // namespace trireme::launcher

#include "launcher/checkpoint/shard_writer.h"

#include <fcntl.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

#include "core/base/error.h"
#include "launcher/base/file_descriptor.h"
#include "launcher/checkpoint/limits.h"

namespace trireme::launcher {
namespace {

constexpr int64_t kWriteBytes = 4 * kBlockBytes;
constexpr size_t kPageBytes = 4096;

// A new file that is written from its first byte to its last, with checksums on the way.
class BlockFile {
 public:
  BlockFile(std::filesystem::path path, const WriteHooks& hooks)
      : path_(std::move(path)),
        hooks_(hooks),
        file_(::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)),
        buffer_(static_cast<std::byte*>(std::aligned_alloc(kPageBytes, kWriteBytes)), std::free) {
    if (!file_) fail_with("create");
    if (!buffer_) throw SystemError("[checkpoint] no memory for a write buffer of 4 MiB");
  }

  void put(const void* data, int64_t bytes) {
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

  // Fills in the size and the blocks' checksums.
  void finish(ShardRecord& record) {
    flush();
    if (::fsync(file_.get()) != 0) fail_with("flush");
    record.bytes = written_;
    record.block_checksums = std::move(checksums_);
  }

 private:
  void flush() { write(buffer_.get(), std::exchange(filled_, 0)); }

  void write(const std::byte* from, int64_t bytes) {
    for (int64_t at = 0; at < bytes; at += kBlockBytes)
      checksums_.push_back(
          XXH3_64bits(from + at, static_cast<size_t>(std::min(kBlockBytes, bytes - at))));
    const int64_t begin = written_;
    while (bytes > 0) {
      const ssize_t put = ::write(file_.get(), from, static_cast<size_t>(bytes));
      if (put < 0 && errno == EINTR) continue;
      if (put == 0) errno = ENOSPC;  // no file system says so, but it must not loop for ever
      if (put <= 0) fail_with("write");
      from += put;
      bytes -= put;
      written_ += put;
      if (hooks_.wrote) hooks_.wrote(written_);
    }
    // A hint: the disk writes while checksums are taken of what follows. fsync says if it did.
    ::sync_file_range(file_.get(), begin, written_ - begin, SYNC_FILE_RANGE_WRITE);
  }

  [[noreturn]] void fail_with(const char* action) const {
    throw SystemError(
        fmt::format("[checkpoint] cannot {} {}: {}", action, path_.string(), std::strerror(errno)));
  }

  std::filesystem::path path_;
  const WriteHooks& hooks_;
  FileDescriptor file_;
  std::unique_ptr<std::byte, decltype(&std::free)> buffer_;
  int64_t filled_ = 0, written_ = 0;
  std::vector<uint64_t> checksums_;
};

}  // namespace

ShardRecord write_shard(const std::filesystem::path& folder, int number, const CheckpointPlan& plan,
                        std::span<const std::byte* const> data, const WriteHooks& hooks) {
  const std::vector<Piece>& pieces = plan.shards.at(number);
  ensure(data.size() == pieces.size(), "a shard's data are as many as its pieces");
  const std::string header = shard_header(plan, number);
  ShardRecord record{.header_bytes = std::ssize(header),
                     .header_hash = XXH3_64bits(header.data(), header.size())};
  BlockFile file(folder / shard_name(number), hooks);
  file.put(header.data(), std::ssize(header));
  for (size_t i = 0; i < pieces.size(); ++i) file.put(data[i], plan.bytes(pieces[i]));
  file.finish(record);
  return record;
}

}  // namespace trireme::launcher

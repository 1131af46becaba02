#include "launcher/base/durable.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <iterator>
#include <utility>

#include "core/base/error.h"

namespace trireme::launcher {

void fail_on_file(const char* action, const std::filesystem::path& path, int error,
                  std::source_location where) {
  throw SystemError(
      fmt::format("[file] cannot {} {}: {}", action, path.string(), std::strerror(error)), where);
}

void make_folder(const std::filesystem::path& path) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) fail_on_file("create", path);
}

NewFile::NewFile(std::filesystem::path path)
    : path_(std::move(path)),
      file_(::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)) {
  if (!file_) fail_on_file("create", path_);
}

void NewFile::write(const void* data, int64_t bytes) {
  use_cache(true);
  put(data, bytes);
}

void NewFile::write_blocks(const void* data, int64_t bytes) {
  ensure(bytes % kBlockAlignment == 0 && written_ % kBlockAlignment == 0, "whole blocks");
  use_cache(false);
  put(data, bytes);
}

// Some file systems refuse at once, some at the first write: put() hears of it.
void NewFile::use_cache(bool use) {
  if (use == cached_) return;
  const int flags = ::fcntl(file_.get(), F_GETFL);
  if (flags >= 0 && ::fcntl(file_.get(), F_SETFL, use ? flags & ~O_DIRECT : flags | O_DIRECT) == 0)
    cached_ = use;
}

void NewFile::put(const void* data, int64_t bytes) {
  const auto* from = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t put = ::write(file_.get(), from, static_cast<size_t>(bytes));
    if (put < 0 && errno == EINTR) continue;
    // The file system has no O_DIRECT, or a short write left an end that is none of a block.
    if (put < 0 && errno == EINVAL && !cached_) {
      use_cache(true);
      if (cached_) continue;
    }
    // No file system writes nothing without an error, but it must not loop for ever.
    if (put <= 0) fail_on_file("write", path_, put == 0 ? ENOSPC : errno);
    from += put;
    bytes -= put;
    written_ += put;
  }
}

void NewFile::rewrite(int64_t offset, const void* data, int64_t bytes) {
  ensure(offset + bytes <= written_, "what is replaced was written before");
  if (::pwrite(file_.get(), data, static_cast<size_t>(bytes), offset) != bytes)
    fail_on_file("write", path_);
}

void NewFile::start_flush() {
  ::sync_file_range(file_.get(), flushing_, written_ - flushing_, SYNC_FILE_RANGE_WRITE);
  flushing_ = written_;
}

// Never tried again: after a failure the system may have dropped what it could not write.
void NewFile::flush() {
  if (::fsync(file_.get()) != 0) fail_on_file("write", path_);
}

void write_new_file(const std::filesystem::path& path, std::string_view contents) {
  NewFile file(path);
  file.write(contents.data(), std::ssize(contents));
  file.flush();
}

void sync_folder(const std::filesystem::path& path) {
  const FileDescriptor folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder && ::fsync(folder.get()) == 0) return;
  if (!folder || errno != EINVAL)
    fail_on_file("commit", path);  // EINVAL: folders need no fsync here
}

std::filesystem::path parent_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : ".";
}

}  // namespace trireme::launcher

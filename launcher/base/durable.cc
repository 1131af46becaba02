#include "launcher/base/durable.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "core/base/error.h"
#include "launcher/base/file_descriptor.h"

namespace trireme::launcher {

void fail_on_file(const char* action, const std::filesystem::path& path, int error,
                  std::source_location where) {
  throw SystemError(
      fmt::format("[file] cannot {} {}: {}", action, path.string(), std::strerror(error)), where);
}

void make_folder(const std::filesystem::path& path) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) fail_on_file("create", path);
}

void write_new_file(const std::filesystem::path& path, std::string_view contents) {
  const FileDescriptor file(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) fail_on_file("create", path);
  while (!contents.empty()) {
    const ssize_t put = ::write(file.get(), contents.data(), contents.size());
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) fail_on_file("write", path, put == 0 ? ENOSPC : errno);
    contents.remove_prefix(static_cast<size_t>(put));
  }
  // Never tried again: after a failure the system may have dropped what it could not write.
  if (::fsync(file.get()) != 0) fail_on_file("write", path);
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

#include "launcher/checkpoint/beneath.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/base/error.h"
#include "launcher/checkpoint/refuse.h"

namespace trireme::launcher {
namespace {

// O_NONBLOCK: a fifo without a writer must not stop us.
constexpr int kFlags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;

int open_beneath(int directory, const char* name) {
  open_how how{};
  how.flags = kFlags;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  const auto opened = static_cast<int>(::syscall(SYS_openat2, directory, name, &how, sizeof(how)));
  // Older than Linux 5.6, or forbidden by a container's filter: the same for a name of one part.
  if (opened < 0 && (errno == ENOSYS || errno == EPERM || errno == E2BIG))
    return ::openat(directory, name, kFlags);
  return opened;
}

const char* kind_of(mode_t mode) {
  if (S_ISLNK(mode)) return "a symbolic link";
  if (S_ISDIR(mode)) return "a folder";
  if (S_ISFIFO(mode)) return "a fifo";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

void check_status(const struct stat& status, const std::string& path) {
  if (!S_ISREG(status.st_mode))
    refuse(path, "is {}, expected a regular file", kind_of(status.st_mode));
  if (status.st_nlink != 1)
    refuse(path, "has {} names (hard links), expected one", status.st_nlink);
}

}  // namespace

BeneathFolder::BeneathFolder(std::filesystem::path path)
    : path_(std::move(path)),
      directory_(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  if (!directory_) refuse(path_.string(), "is no checkpoint: {}", std::strerror(errno));
}

OpenedFile BeneathFolder::open(const std::string& name) const {
  OpenedFile opened{.path = (path_ / name).string()};
  ensure(!name.empty() && name.find('/') == std::string::npos, "a file's name has one part");
  // Looked at before it is opened, since opening a device may do something; what counts is below.
  struct stat status {};
  if (::fstatat(directory_.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) refuse(opened.path, "is missing");
    refuse(opened.path, "cannot be opened: {}", std::strerror(errno));
  }
  check_status(status, opened.path);
  opened.file = FileDescriptor(open_beneath(directory_.get(), name.c_str()));
  if (!opened.file || ::fstat(opened.file.get(), &status) != 0)
    refuse(opened.path, "cannot be opened: {}", std::strerror(errno));
  check_status(status, opened.path);
  opened.bytes = status.st_size;
  return opened;
}

void read_or_refuse(const OpenedFile& file, int64_t offset, void* out, int64_t bytes) {
  errno = 0;
  if (!read_exactly(file.file, offset, out, bytes))
    refuse(file.path, "cannot be read at byte {}: {}", offset,
           errno == 0 ? "it ends before" : std::strerror(errno));
}

}  // namespace trireme::launcher

// A disk that fails when it is told to: an LD_PRELOAD library that counts the calls which change
// what lies beneath one folder, and does something to one of them.
//
//   TRIREME_FAULT_ROOT=FOLDER    counts calls on paths beneath it, absolute (else: does nothing)
//   TRIREME_FAULT_RANK=R         only in the process of that rank of mpirun; without: in every one
//   TRIREME_FAULT_AT=K           the K-th call, from 1, is the first that fails (0: none)
//   TRIREME_FAULT_COUNT=N        and so many on end (default 1; -1: all that follow)
//   TRIREME_FAULT_KIND=...       kill    the process dies before the call
//                                torn    a write writes its first half, then the process dies
//                                short   a write writes its first half and says so
//                                ENOSPC, EIO    the call fails, nothing is changed
//   TRIREME_FAULT_LOG=FILE       one line a call: its number, name and path
//
// Counted: open, openat, creat with O_CREAT, write, pwrite, writev, fsync, fdatasync, ftruncate,
// rename, renameat, renameat2, link, linkat, unlink, unlinkat, rmdir, mkdir, mkdirat, fchmod, and
// openat2 and renameat2 through syscall(). What libc calls inside itself (fopen) is not seen.
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

template <typename Function>
Function* next(const char* name, Function*) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}
// The libc function that this file stands before.
#define REAL(name) (next(#name, static_cast<decltype(::name)*>(nullptr)))

enum class Kind { kKill, kTorn, kShort, kError };

struct Plan {
  char root[PATH_MAX] = {};
  size_t root_bytes = 0;
  long at = 0, count = 1;
  Kind kind = Kind::kKill;
  int error = EIO;
  const char* log = nullptr;
  bool active = false;

  Plan() {
    const char* folder = std::getenv("TRIREME_FAULT_ROOT");
    const char* rank = std::getenv("TRIREME_FAULT_RANK");
    const char* own_rank = std::getenv("OMPI_COMM_WORLD_RANK");
    if (folder == nullptr) return;
    if (rank != nullptr && std::strcmp(rank, own_rank != nullptr ? own_rank : "0") != 0) return;
    active = true;
    root_bytes = static_cast<size_t>(std::snprintf(root, sizeof(root), "%s/", folder));
    if (const char* value = std::getenv("TRIREME_FAULT_AT")) at = std::atol(value);
    if (const char* value = std::getenv("TRIREME_FAULT_COUNT")) count = std::atol(value);
    log = std::getenv("TRIREME_FAULT_LOG");
    const char* what = std::getenv("TRIREME_FAULT_KIND");
    if (what == nullptr) return;
    if (std::strcmp(what, "torn") == 0) kind = Kind::kTorn;
    if (std::strcmp(what, "short") == 0) kind = Kind::kShort;
    if (std::strcmp(what, "EIO") == 0) kind = Kind::kError;
    if (std::strcmp(what, "ENOSPC") == 0) {
      kind = Kind::kError;
      error = ENOSPC;
    }
  }

  bool beneath(const char* path) const {
    return std::strncmp(path, root, root_bytes) == 0 ||
           (std::strlen(path) + 1 == root_bytes && std::strncmp(path, root, root_bytes - 1) == 0);
  }
};

const Plan& plan() {
  static const Plan one;
  return one;
}
std::atomic<long> calls{0};

// The absolute path of what a call names; empty if it is not known.
struct Path {
  char text[2 * PATH_MAX] = {};

  explicit Path(int descriptor) { of_descriptor(descriptor); }
  Path(int folder, const char* name) {
    if (name[0] != '/') {
      if (folder != AT_FDCWD)
        of_descriptor(folder);
      else if (getcwd(text, PATH_MAX) == nullptr)
        text[0] = '\0';
      std::strncat(text, "/", sizeof(text) - std::strlen(text) - 1);
    }
    std::strncat(text, name, sizeof(text) - std::strlen(text) - 1);
  }

 private:
  void of_descriptor(int descriptor) {
    char link[64];
    std::snprintf(link, sizeof(link), "/proc/self/fd/%d", descriptor);
    const ssize_t length = readlink(link, text, PATH_MAX - 1);
    text[length > 0 ? length : 0] = '\0';
  }
};

void write_log(long number, const char* name, const char* path) {
  static const int file = static_cast<int>(
      ::syscall(SYS_openat, AT_FDCWD, plan().log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  char line[2 * PATH_MAX + 64];
  const int bytes =
      std::snprintf(line, sizeof(line), "%ld %s %s\n", number, name, path + plan().root_bytes);
  [[maybe_unused]] const long put = ::syscall(SYS_write, file, line, bytes);
}

// Whether the call at hand is one that fails; counts and logs it.
bool strikes(const char* name, const Path& path) {
  if (!plan().beneath(path.text)) return false;
  const long number = ++calls;
  if (plan().log != nullptr) write_log(number, name, path.text);
  if (plan().at == 0 || number < plan().at) return false;
  return plan().count < 0 || number < plan().at + plan().count;
}

[[noreturn]] void die() {
  ::kill(::getpid(), SIGKILL);
  for (;;) ::pause();
}

// Of a call without a size. 0: it goes on.
int strike(const char* name, const Path& path) {
  if (!strikes(name, path) || plan().kind == Kind::kShort) return 0;
  if (plan().kind != Kind::kError) die();
  errno = plan().error;
  return -1;
}

// Of a write of `bytes`: how many are to be written; -1: the call fails. `dies` after it.
ssize_t strike_write(const char* name, int descriptor, size_t bytes, bool& dies) {
  dies = false;
  if (!plan().active || !strikes(name, Path(descriptor))) return static_cast<ssize_t>(bytes);
  if (plan().kind == Kind::kKill) die();
  if (plan().kind == Kind::kError) {
    errno = plan().error;
    return -1;
  }
  dies = plan().kind == Kind::kTorn;
  return static_cast<ssize_t>(bytes > 1 ? bytes / 2 : bytes);
}

template <typename... Names>
bool passes(const char* name, const Path& path) {
  return strike(name, path) == 0;
}

mode_t mode_of(int flags, va_list arguments) {
  return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
}

}  // namespace

#define SEEN(name, ...) (!plan().active || passes(name, Path(__VA_ARGS__)))

extern "C" {

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  if ((flags & O_CREAT) != 0 && !SEEN("open", AT_FDCWD, path)) return -1;
  return REAL(open)(path, flags, mode);
}
int openat(int folder, const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  if ((flags & O_CREAT) != 0 && !SEEN("openat", folder, path)) return -1;
  return REAL(openat)(folder, path, flags, mode);
}
int creat(const char* path, mode_t mode) {
  return SEEN("creat", AT_FDCWD, path) ? REAL(creat)(path, mode) : -1;
}

ssize_t write(int descriptor, const void* data, size_t bytes) {
  bool dies;
  const ssize_t allowed = strike_write("write", descriptor, bytes, dies);
  if (allowed < 0) return -1;
  const ssize_t put = REAL(write)(descriptor, data, static_cast<size_t>(allowed));
  if (dies) die();
  return put;
}
ssize_t pwrite(int descriptor, const void* data, size_t bytes, off_t offset) {
  bool dies;
  const ssize_t allowed = strike_write("pwrite", descriptor, bytes, dies);
  if (allowed < 0) return -1;
  const ssize_t put = REAL(pwrite)(descriptor, data, static_cast<size_t>(allowed), offset);
  if (dies) die();
  return put;
}
ssize_t writev(int descriptor, const iovec* parts, int count) {
  return SEEN("writev", descriptor) ? REAL(writev)(descriptor, parts, count) : -1;
}

int fsync(int descriptor) { return SEEN("fsync", descriptor) ? REAL(fsync)(descriptor) : -1; }
int fdatasync(int descriptor) {
  return SEEN("fdatasync", descriptor) ? REAL(fdatasync)(descriptor) : -1;
}
int ftruncate(int descriptor, off_t bytes) noexcept {
  return SEEN("ftruncate", descriptor) ? REAL(ftruncate)(descriptor, bytes) : -1;
}
int fchmod(int descriptor, mode_t mode) noexcept {
  return SEEN("fchmod", descriptor) ? REAL(fchmod)(descriptor, mode) : -1;
}

int rename(const char* from, const char* to) noexcept {
  return SEEN("rename", AT_FDCWD, to) ? REAL(rename)(from, to) : -1;
}
int renameat(int from_folder, const char* from, int to_folder, const char* to) noexcept {
  return SEEN("renameat", to_folder, to) ? REAL(renameat)(from_folder, from, to_folder, to) : -1;
}
int renameat2(int from_folder, const char* from, int to_folder, const char* to,
              unsigned flags) noexcept {
  return SEEN("renameat2", to_folder, to) ? REAL(renameat2)(from_folder, from, to_folder, to, flags)
                                          : -1;
}
int link(const char* from, const char* to) noexcept {
  return SEEN("link", AT_FDCWD, to) ? REAL(link)(from, to) : -1;
}
int linkat(int from_folder, const char* from, int to_folder, const char* to, int flags) noexcept {
  return SEEN("linkat", to_folder, to) ? REAL(linkat)(from_folder, from, to_folder, to, flags) : -1;
}
int unlink(const char* path) noexcept {
  return SEEN("unlink", AT_FDCWD, path) ? REAL(unlink)(path) : -1;
}
int unlinkat(int folder, const char* path, int flags) noexcept {
  return SEEN("unlinkat", folder, path) ? REAL(unlinkat)(folder, path, flags) : -1;
}
int rmdir(const char* path) noexcept {
  return SEEN("rmdir", AT_FDCWD, path) ? REAL(rmdir)(path) : -1;
}
int remove(const char* path) noexcept {  // libc's own calls unlink inside itself
  if (!SEEN("remove", AT_FDCWD, path)) return -1;
  return REAL(remove)(path);
}
int mkdir(const char* path, mode_t mode) noexcept {
  return SEEN("mkdir", AT_FDCWD, path) ? REAL(mkdir)(path, mode) : -1;
}
int mkdirat(int folder, const char* path, mode_t mode) noexcept {
  return SEEN("mkdirat", folder, path) ? REAL(mkdirat)(folder, path, mode) : -1;
}

long syscall(long number, ...) noexcept {
  va_list arguments;
  va_start(arguments, number);
  long a[6];
  for (long& argument : a) argument = va_arg(arguments, long);
  va_end(arguments);
  if (plan().active && number == SYS_renameat2 &&
      !SEEN("renameat2", static_cast<int>(a[2]), reinterpret_cast<const char*>(a[3])))
    return -1;
  if (plan().active && number == SYS_openat2 &&
      (*reinterpret_cast<const unsigned long long*>(a[2]) & O_CREAT) != 0 &&
      !SEEN("openat2", static_cast<int>(a[0]), reinterpret_cast<const char*>(a[1])))
    return -1;
  return REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

// Where off_t has 64 bits, these are the same functions.
static_assert(sizeof(off_t) == sizeof(off64_t));
int open64(const char* path, int flags, ...) __attribute__((alias("open")));
int openat64(int folder, const char* path, int flags, ...) __attribute__((alias("openat")));
ssize_t pwrite64(int descriptor, const void* data, size_t bytes, off64_t offset)
    __attribute__((alias("pwrite")));
int ftruncate64(int descriptor, off64_t bytes) noexcept __attribute__((alias("ftruncate")));
}

#include "tests/support/file_calls.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <string_view>

namespace trireme {
namespace {

thread_local FileCalls* of_this_thread = nullptr;
std::atomic<FileCalls*> of_all_threads = nullptr;
thread_local bool asking = false;  // the hook's own calls are not looked at

FileCalls* current() { return of_this_thread ? of_this_thread : of_all_threads.load(); }

std::string name_of(std::string_view path) {
  return std::string(path.substr(path.rfind('/') + 1));  // npos + 1 is 0
}

std::string name_of(int descriptor) {
  std::array<char, 4096> path{};
  const std::string link = "/proc/self/fd/" + std::to_string(descriptor);
  const ssize_t length = ::readlink(link.c_str(), path.data(), path.size());
  return name_of(std::string_view(path.data(), static_cast<size_t>(std::max<ssize_t>(length, 0))));
}

int ask(const std::string& call) {
  FileCalls* const calls = current();
  return calls == nullptr ? 0 : calls->ask(call);
}

// What the system would return, if the hook lets it.
template <typename... Arguments>
int unless_failed(const std::string& call, long number, Arguments... arguments) {
  if (const int error = ask(call); error != 0) {
    errno = error;
    return -1;
  }
  return static_cast<int>(::syscall(number, arguments...));
}

// The bytes that a write may take, or -1.
ssize_t allowed(const char* call, int descriptor, size_t bytes) {
  if (current() == nullptr) return static_cast<ssize_t>(bytes);
  const int answer = ask(call + name_of(descriptor));
  if (answer == 0) return static_cast<ssize_t>(bytes);
  if (answer == FileCalls::kShort) return static_cast<ssize_t>((bytes + 1) / 2);
  errno = answer;
  return -1;
}

}  // namespace

FileCalls::FileCalls(Hook hook, Threads threads) : hook_(std::move(hook)) {
  if (threads == Threads::kThis)
    of_this_thread = this;
  else
    of_all_threads = this;
}
FileCalls::~FileCalls() {
  of_this_thread = nullptr;
  of_all_threads = nullptr;
}

int FileCalls::ask(const std::string& call) {
  if (asking) return 0;
  const std::scoped_lock lock(mutex_);
  asking = true;
  calls_.push_back(call);
  const int answer = hook_ ? hook_(call) : 0;
  asking = false;
  return answer;
}

}  // namespace trireme

using trireme::name_of;
using trireme::unless_failed;

extern "C" {

int mkdir(const char* path, mode_t mode) noexcept {
  return unless_failed("mkdir " + name_of(path), SYS_mkdirat, AT_FDCWD, path, mode);
}
int fsync(int descriptor) {
  return unless_failed("fsync " + name_of(descriptor), SYS_fsync, descriptor);
}
int link(const char* from, const char* to) noexcept {
  return unless_failed("link " + name_of(from) + " -> " + name_of(to), SYS_linkat, AT_FDCWD, from,
                       AT_FDCWD, to, 0);
}
int rename(const char* from, const char* to) noexcept {
  return unless_failed("rename " + name_of(from) + " -> " + name_of(to), SYS_renameat2, AT_FDCWD,
                       from, AT_FDCWD, to, 0);
}
int unlink(const char* path) noexcept {
  return unless_failed("unlink " + name_of(path), SYS_unlinkat, AT_FDCWD, path, 0);
}
int rmdir(const char* path) noexcept {
  return unless_failed("rmdir " + name_of(path), SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR);
}
ssize_t write(int descriptor, const void* data, size_t bytes) {
  const ssize_t most = trireme::allowed("write ", descriptor, bytes);
  return most < 0 ? most : ::syscall(SYS_write, descriptor, data, most);
}
ssize_t pwrite(int descriptor, const void* data, size_t bytes, off_t offset) {
  const ssize_t most = trireme::allowed("pwrite ", descriptor, bytes);
  return most < 0 ? most : ::syscall(SYS_pwrite64, descriptor, data, most, offset);
}
}

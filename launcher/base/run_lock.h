// RUN/lock: one run in a folder at a time, on one host or on several that share the disk.
//
// The file names its owner (lock_owner.h) and carries a counter that a thread of the owner moves
// every five seconds. It appears under its name complete, and only if there is none; who wants to
// take one over decides so while holding flock on RUN/lock.guard, so of two exactly one does.
//
//   the owner is a process of this machine     refused while it lives, taken over at once if not
//   the owner cannot be seen from here         watched: refused as soon as its counter moves,
//   (another host, or no owner can be read)    taken over once it stood still for 20 seconds
//
// Time is measured by this process's own monotonic clock alone. A process that was stopped for so
// long that it lost its lock notices by still_mine(), which is asked before every commit. Where
// the file system has no flock the guard is left out, and the lock is looked at once more a moment
// after a takeover.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "launcher/base/file_descriptor.h"
#include "launcher/base/lock_owner.h"

namespace trireme::launcher {

class RunLock {
 public:
  using Duration = std::chrono::milliseconds;
  struct Options {
    Duration renew_every = std::chrono::seconds(5);
    Duration takeover_after = std::chrono::seconds(20);
    Duration guard_wait = std::chrono::seconds(10);  // for another start that is deciding
    std::function<void(const std::string&)> say;     // before a wait, and after a takeover; may be
                                                     // empty
  };

  // Takes the lock. `run_folder` exists.
  // Throws InvalidArgument "run folder X is in use by pid 123 on node07 since ...", or if RUN/lock
  // is no regular file (nothing is followed, nothing is removed); SystemError if the folder cannot
  // be written to.
  explicit RunLock(std::filesystem::path run_folder) : RunLock(std::move(run_folder), Options{}) {}
  RunLock(std::filesystem::path run_folder, Options options);
  // Gives it back, if it is still this one's.
  ~RunLock();
  RunLock(const RunLock&) = delete;

  // Whether RUN/lock names this object still. Any thread. Once it named another it is false for
  // ever; while it cannot be read it is false as well.
  bool still_mine() const;

 private:
  class Guard;
  struct Seen;

  void acquire();
  bool publish();  // false: there is a lock
  void take_over(const Seen& seen, const Guard& guard, const std::string& why);
  Seen look() const;
  bool stands_still(const Seen& first) const;
  std::filesystem::path write_temporary();
  void remove_leftovers() const;
  void start_renewing();
  void renew();
  void release() noexcept;
  [[noreturn]] void refuse(const Seen& seen) const;
  void say(const std::string& text) const;

  std::filesystem::path folder_, path_;
  Options options_;
  LockOwner self_ = LockOwner::self();
  FileDescriptor file_;
  mutable std::atomic<bool> lost_ = false;
  std::mutex mutex_;
  std::condition_variable stop_changed_;
  bool stop_ = false;
  std::thread renewer_;
};

}  // namespace trireme::launcher

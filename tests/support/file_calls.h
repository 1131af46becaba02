// Looks at, and lets fail, the system calls by which a process changes files.
//
// The functions mkdir, write, pwrite, fsync, link, rename, unlink and rmdir of a test binary that
// links this are defined in file_calls.cc. Without a hook they do what the system's do.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <vector>

namespace trireme {

// Of this thread, or of all, while it lives. One at a time.
class FileCalls {
 public:
  enum class Threads { kThis, kAll };
  static constexpr int kShort = -1;  // a write of half the bytes
  // Called before each call, with "rename .tmp-1 -> step-00000001": names without their folders.
  // Returns 0 to let it happen, an errno to let it fail, kShort.
  using Hook = std::function<int(const std::string& call)>;

  explicit FileCalls(Hook hook, Threads threads = Threads::kThis);
  ~FileCalls();
  FileCalls(const FileCalls&) = delete;

  // All calls so far, in their order.
  const std::vector<std::string>& calls() const { return calls_; }

  int ask(const std::string& call);  // for file_calls.cc

 private:
  Hook hook_;
  std::vector<std::string> calls_;
  std::mutex mutex_;
};

}  // namespace trireme

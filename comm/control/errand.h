// Work that may never come back, since it touches a disk or a pipe that may be what is stuck.
#pragma once

#include <chrono>
#include <functional>
#include <future>

namespace trireme::comm::control {

// Runs on a thread of its own, which is left alone if it does not end.
class Errand {
 public:
  explicit Errand(std::function<void()> work) noexcept;
  // False if it is not done within `limit`.
  bool wait(std::chrono::milliseconds limit) const;

 private:
  std::future<void> done_;  // not valid if no thread could be had
};

}  // namespace trireme::comm::control

// Time in which this process could look around.
#pragma once

#include <algorithm>
#include <chrono>

namespace trireme::comm::control {

// CLOCK_MONOTONIC, less what passed while the process was stopped (SIGSTOP, a suspended machine):
// between two looks at most `longest` counts. Deadlines on this clock do not condemn a job that was
// stopped whole, and a rank that was stopped alone does not wake up believing that all others hang.
class AwakeClock {
 public:
  using Base = std::chrono::steady_clock;
  using Time = Base::time_point;

  explicit AwakeClock(Base::duration longest) : longest_(longest) {}

  Time now() const { return now_; }
  void look(Time real = Base::now()) {
    now_ += std::min(real - seen_, longest_);
    seen_ = real;
  }

 private:
  Base::duration longest_;
  Time seen_ = Base::now();
  Time now_ = seen_;
};

}  // namespace trireme::comm::control

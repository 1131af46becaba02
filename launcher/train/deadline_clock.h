// The control plane's deadlines, which follow the median step.
#pragma once

#include <vector>

#include "comm/control/status.h"
#include "launcher/job/options.h"

namespace trireme::launcher {

class DeadlineClock {
 public:
  explicit DeadlineClock(const DeadlineOptions& options) : options_(options) {}

  // With the steps seen so far: a step may take ten times their median, and at least 60 seconds.
  comm::Deadlines deadlines() const;
  // True if the deadlines may have changed enough to be told.
  bool step_took(double seconds);

 private:
  static constexpr size_t kWindow = 64;

  DeadlineOptions options_;
  std::vector<double> seconds_;  // of the last steps, a ring
  size_t steps_ = 0;
};

}  // namespace trireme::launcher

#include "launcher/train/deadline_clock.h"

#include <algorithm>

namespace trireme::launcher {
namespace {

constexpr double kLeastStepSeconds = 60;
constexpr double kMedians = 10;

std::chrono::milliseconds time(double seconds) {
  constexpr double kMostSeconds = 1e9;  // decades
  return std::chrono::milliseconds(static_cast<int64_t>(1e3 * std::min(seconds, kMostSeconds)));
}

}  // namespace

comm::Deadlines DeadlineClock::deadlines() const {
  double step = options_.step_seconds;
  if (step == 0) {
    step = kLeastStepSeconds;
    if (!seconds_.empty()) {
      std::vector<double> sorted = seconds_;
      std::ranges::sort(sorted);
      step = std::max(step, kMedians * sorted[sorted.size() / 2]);
    }
  }
  const auto or_step = [&](double seconds) { return time(seconds == 0 ? step : seconds); };
  return {.start = time(options_.start_seconds),
          .first_step = time(options_.first_step_seconds),
          .step = time(step),
          .data = or_step(options_.data_seconds),
          .eval = or_step(options_.eval_seconds),
          .checkpoint = time(options_.checkpoint_seconds)};
}

bool DeadlineClock::step_took(double seconds) {
  if (seconds_.size() < kWindow)
    seconds_.push_back(seconds);
  else
    seconds_[steps_ % kWindow] = seconds;
  ++steps_;
  return steps_ == 1 || steps_ % kWindow == 0;
}

}  // namespace trireme::launcher

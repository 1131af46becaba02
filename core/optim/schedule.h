// The learning rate as a function of the number of applied updates.
//
// One function for host and device: the plan, the CPU step and the GPU step compute the same.
#pragma once

#include <cmath>
#include <cstdint>

#include "core/base/host_device.h"

namespace trireme::core {

enum class ScheduleKind : uint8_t { kConstant, kStep, kLinear, kCosine };

struct Schedule {
  ScheduleKind kind = ScheduleKind::kConstant;
  float base_lr = 0;
  int64_t warmup_steps = 0;  // lr rises linearly: base_lr * (step + 1) / warmup_steps
  int64_t total_steps = 0;   // linear and cosine: where final_fraction is reached
  float final_fraction = 0;  // of base_lr, at total_steps and after
  int64_t step_size = 1;     // step: lr *= gamma every step_size updates after warm-up
  float gamma = 0.1f;

  bool operator==(const Schedule&) const = default;
};

// The rate of update number `step` (0 is the first).
TRIREME_HOST_DEVICE float learning_rate(const Schedule& schedule, int64_t step) {
  if (step < schedule.warmup_steps)
    return schedule.base_lr * static_cast<float>(step + 1) /
           static_cast<float>(schedule.warmup_steps);
  const int64_t after = step - schedule.warmup_steps;
  const int64_t span = schedule.total_steps - schedule.warmup_steps;
  const double progress =
      span <= 0 || after >= span ? 1.0 : static_cast<double>(after) / static_cast<double>(span);
  const double low = schedule.final_fraction;
  switch (schedule.kind) {
    case ScheduleKind::kConstant:
      return schedule.base_lr;
    case ScheduleKind::kStep:
      return static_cast<float>(schedule.base_lr *
                                pow(static_cast<double>(schedule.gamma),
                                    static_cast<double>(after / schedule.step_size)));
    case ScheduleKind::kLinear:
      return static_cast<float>(schedule.base_lr * (1.0 + (low - 1.0) * progress));
    case ScheduleKind::kCosine:
      return static_cast<float>(
          schedule.base_lr *
          (low + (1.0 - low) * 0.5 * (1.0 + cos(3.14159265358979323846 * progress))));
  }
  return schedule.base_lr;
}

}  // namespace trireme::core

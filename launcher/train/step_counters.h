// The session's counters as a checkpoint keeps them, and back.
#pragma once

#include <cmath>

#include "core/runtime/session.h"
#include "launcher/checkpoint/manifest.h"

namespace trireme::launcher {

inline core::StepCounters step_counters(const Counters& counters) {
  core::StepCounters steps{counters.attempted_steps, counters.applied_steps,
                           counters.non_finite_steps};
  if (counters.loss_scale_power >= 0) {
    steps.loss_scale = std::ldexp(1.0f, static_cast<int>(counters.loss_scale_power));
    steps.good_steps = static_cast<int32_t>(counters.steps_since_scaled);
  }
  return steps;
}

inline void take_steps(const core::StepCounters& steps, Counters& counters) {
  counters.attempted_steps = steps.attempted;
  counters.applied_steps = steps.applied;
  counters.non_finite_steps = steps.non_finite;
  if (steps.loss_scale > 0) {
    counters.loss_scale_power = std::ilogb(steps.loss_scale);
    counters.steps_since_scaled = steps.good_steps;
  }
}

}  // namespace trireme::launcher

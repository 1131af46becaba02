// Whether a run fits on its device, and what would make it fit.
#pragma once

#include "launcher/plan/run_plan.h"

namespace trireme::launcher {

// Throws InvalidArgument if a rank needs more than the device has, naming the largest arenas and
// the smallest change of the job that would fit, if one of those tried does.
void check_memory(const RunPlan& plan, const PlanRequest& request);

}  // namespace trireme::launcher

// Whether a run fits into its memory, and what would make it fit.
#pragma once

#include "launcher/plan/run_plan.h"

namespace trireme::launcher {

// Throws InvalidArgument if a rank of some stage needs more than the job (train.memory_limit_mib)
// or the device allows, naming how much is missing, the largest arenas and the smallest changes of
// the job that would fit, of those tried: of micro_batch, recompute, zero, tensor and pipeline,
// with as many ranks, else with more.
void check_memory(const RunPlan& plan, const PlanRequest& request);

// The same of one rank's programs; `request.device` is the one that they were made for.
void check_memory(const core::SessionPlan& plan, int stage, const PlanRequest& request);

}  // namespace trireme::launcher

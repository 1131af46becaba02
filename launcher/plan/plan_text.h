// A plan for people and for programs.
#pragma once

#include <string>

#include "launcher/plan/run_plan.h"

namespace trireme::launcher {

// Layout, stages, memory, calls and the step, in tables; stages that are alike share a row.
std::string plan_text(const RunPlan& plan, const JobOptions& job);

// The same as one JSON object, bytes and seconds unrounded.
std::string plan_json(const RunPlan& plan, const JobOptions& job);

// One step in the trace format of Chrome (chrome://tracing, ui.perfetto.dev): a process for each
// class of ranks, a thread for each stream, microseconds.
std::string plan_timeline(const RunPlan& plan);

}  // namespace trireme::launcher

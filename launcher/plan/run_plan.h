// A run before it runs: who holds what, what it costs in memory, what a step takes.
//
// Ranks that differ in their data and tensor coordinates alone hold and do the same, so there is
// one class of ranks, and one program, for each pipeline stage; groups stand for their members by
// number. No device, no MPI and no data are touched.
#pragma once

#include <string>
#include <vector>

#include "core/sim/device_model.h"
#include "core/sim/program_tasks.h"
#include "core/sim/simulator.h"
#include "launcher/plan/ledger.h"
#include "launcher/train/training_plan.h"

namespace trireme::launcher {

// Calls of one kind in one group, of one rank in one training step.
struct CallTotal {
  core::CollectiveKind kind = core::CollectiveKind::kAllReduce;
  std::string group;
  int members = 1;
  int64_t calls = 0;
  int64_t bytes = 0;   // counted as the calls count them, added up
  double seconds = 0;  // if they were made alone, one after the other
};

struct RankClass {
  int stage = 0;
  std::string layers;  // "block0 ... block5"
  core::SessionPlan plan;
  Ledger memory;  // of the device
  Ledger host;    // of the process: on CPUs on top of `memory`, on GPUs beside it
  std::vector<CallTotal> calls;
  core::ProgramTasks tasks;
  core::SimRankTimes times;
};

struct RunPlan {
  RunShape shape;
  core::DeviceModel device;
  std::vector<RankClass> classes;
  std::vector<std::vector<core::SimSpan>> spans;  // by class and task
  int64_t parameters = 0;                         // of the network, each once
  int64_t step_flops = 0;  // of the global batch, forward and backward, nothing twice
  double step_seconds = 0;
  double peak_flops = 0;    // of one rank, at the job's precision
  int64_t arena_limit = 0;  // of one rank, the job's or the device's; 0: none

  // Of the class that needs most: its arenas, and what a rank needs in all.
  int64_t arena_bytes() const;
  int64_t bytes_of(const RankClass& c) const;
  int64_t rank_bytes() const;
  double mfu() const;
};

struct PlanRequest {
  const JobOptions& job;
  const DataShapes& data;
  const models::ModelFactories& factories;
  int world = 1;
  core::DeviceModel device;
  core::TaskDetail detail = core::TaskDetail::kWhole;  // of the tasks; kParts for a timeline
};

// Checks the classes' programs against each other on the way. Throws InvalidArgument, opened with
// the field's place, for a world or shapes that do not fit.
RunPlan make_run_plan(const PlanRequest& request);

}  // namespace trireme::launcher

// Pipeline parallelism: what a stage does in which turn, and the messages between stages.
//
// Activations go down the stages in kPipelineDown, their gradients up in kPipelineUp, each with
// streams of its own; a stage's number is its rank in both groups.
#pragma once

#include <vector>

#include "core/program/segment_plan.h"
#include "parallel/schedule.h"
#include "parallel/stage_graph.h"

namespace trireme::parallel {

struct StageWork {
  std::vector<core::SegmentPlan> segments;
  std::vector<core::Turn> turns;
};

// Of a step. ZERO_BUBBLE has a segment of its own for the gradients of a chunk's parameters.
StageWork plan_stage(const StageGraph& stage, const StagePlace& place, PipelineSchedule schedule,
                     int micro_batches);

// Of a pass over a graph without backward. Groups of as many micro-batches as there are stages
// pass chunk after chunk.
StageWork plan_forward_stage(const StageGraph& stage, const StagePlace& place, int micro_batches);

}  // namespace trireme::parallel

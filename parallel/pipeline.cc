#include "parallel/pipeline.h"

#include <algorithm>

#include "core/base/error.h"
#include "parallel/groups.h"

namespace trireme::parallel {
namespace {

using core::Node;
using core::Phase;
using core::SegmentPlan;

// The phases that one piece of work runs.
std::vector<Phase> phases_of(Work work) {
  switch (work) {
    case Work::kForward:
      return {Phase::kForward};
    case Work::kInputBackward:
      return {Phase::kInputBackward};
    case Work::kWeightBackward:
      return {Phase::kWeightBackward};
    case Work::kBackward:
      break;
  }
  return {Phase::kInputBackward, Phase::kWeightBackward};
}

std::string name_of(Work work) {
  switch (work) {
    case Work::kForward:
      return "forward";
    case Work::kInputBackward:
      return "input-backward";
    case Work::kWeightBackward:
      return "weight-backward";
    case Work::kBackward:
      break;
  }
  return "backward";
}

core::Transfer transfer_of(const Crossing& crossing, const StagePlace& place) {
  const int step = crossing.down == crossing.receive ? -1 : 1;
  return {.value = crossing.value,
          .group = crossing.down ? kPipelineDown : kPipelineUp,
          .peer = (place.stage + step + place.stages) % place.stages,
          .down = crossing.down,
          .receive = crossing.receive,
          .what = crossing.what};
}

SegmentPlan segment_of(const StageGraph& stage, const StagePlace& place, int chunk, Work work) {
  SegmentPlan plan{.name = name_of(work), .chunk = chunk};
  if (place.chunks > 1) plan.name += fmt::format(" of chunk {}", place.in_network(chunk));
  const std::vector<Phase> phases = phases_of(work);
  for (size_t id = 0; id < stage.graph.nodes().size(); ++id) {
    const Node& node = stage.graph.nodes()[id];
    if (node.chunk == chunk && std::ranges::find(phases, node.phase) != phases.end())
      plan.nodes.push_back(static_cast<core::NodeId>(id));
  }
  if (work == Work::kWeightBackward) return plan;
  for (const Crossing& crossing : stage.crossings)
    if (crossing.chunk == chunk && crossing.down == (work == Work::kForward))
      (crossing.receive ? plan.receives : plan.sends).push_back(transfer_of(crossing, place));
  return plan;
}

// A chunk's segments lie together, in the order in which a micro-batch runs through them; later
// chunks first, as backward comes by, so that a chunk listed behind others is the last to add to
// what they share.
std::vector<SegmentPlan> segments_of(const StageGraph& stage, const StagePlace& place,
                                     const std::vector<Work>& works) {
  std::vector<SegmentPlan> segments;
  for (int chunk = place.chunks; chunk-- > 0;)
    for (Work work : works) segments.push_back(segment_of(stage, place, chunk, work));
  return segments;
}

}  // namespace

StageWork plan_stage(const StageGraph& stage, const StagePlace& place, PipelineSchedule schedule,
                     int micro_batches) {
  std::vector<Work> works{Work::kForward, Work::kBackward};
  if (schedule == PipelineSchedule::kZeroBubble)
    works = {Work::kForward, Work::kInputBackward, Work::kWeightBackward};
  StageWork plan{.segments = segments_of(stage, place, works)};
  const PipelineShape shape{place.stages, micro_batches, place.chunks};
  for (const ScheduleStep& step : make_schedule(schedule, shape, place.stage)) {
    const auto work = static_cast<int>(std::ranges::find(works, step.work) - works.begin());
    const int chunks_before = place.chunks - 1 - step.chunk;
    plan.turns.push_back({.segment = chunks_before * static_cast<int>(works.size()) + work,
                          .micro_batch = step.micro_batch,
                          .slot = step.slot});
  }
  return plan;
}

StageWork plan_forward_stage(const StageGraph& stage, const StagePlace& place, int micro_batches) {
  StageWork plan{.segments = segments_of(stage, place, {Work::kForward})};
  for (int first = 0; first < micro_batches; first += place.stages)
    for (int chunk = 0; chunk < place.chunks; ++chunk)
      for (int i = first; i < std::min(first + place.stages, micro_batches); ++i)
        plan.turns.push_back({.segment = place.chunks - 1 - chunk, .micro_batch = i});
  return plan;
}

}  // namespace trireme::parallel

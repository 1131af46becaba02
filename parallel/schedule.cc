#include "parallel/schedule.h"

#include <algorithm>
#include <array>
#include <set>

#include "core/base/error.h"

namespace trireme::parallel {
namespace {

using Steps = std::vector<ScheduleStep>;

Steps gpipe(int micro_batches) {
  Steps steps;
  for (Work work : {Work::kForward, Work::kBackward})
    for (int i = 0; i < micro_batches; ++i) steps.push_back({.work = work, .micro_batch = i});
  return steps;
}

// As many forward passes as there are stages behind this one; then one forward, one backward.
Steps one_f_one_b(const PipelineShape& shape, int stage) {
  const int m = shape.micro_batches, ahead = std::min(shape.stages - stage - 1, m);
  Steps steps;
  for (int i = 0; i < ahead; ++i) steps.push_back({.micro_batch = i});
  for (int i = 0; i < m; ++i) {
    if (ahead + i < m) steps.push_back({.micro_batch = ahead + i});
    steps.push_back({.work = Work::kBackward, .micro_batch = i});
  }
  return steps;
}

// 1F1B where stage s puts off weight gradients by s micro-batches: every stage then holds as many
// stashes as the first, and has weight gradients left for the gaps at the end.
Steps zero_bubble(const PipelineShape& shape, int stage) {
  Steps steps;
  int weights_done = 0;
  const auto weight = [&] {
    steps.push_back({.work = Work::kWeightBackward, .micro_batch = weights_done++});
  };
  for (ScheduleStep step : one_f_one_b(shape, stage)) {
    if (step.work == Work::kBackward) step.work = Work::kInputBackward;
    steps.push_back(step);
    if (step.work == Work::kInputBackward && step.micro_batch >= stage) weight();
  }
  while (weights_done < shape.micro_batches) weight();
  return steps;
}

// 1F1B over groups of p micro-batches that pass chunk after chunk.
Steps interleaved(const PipelineShape& shape, int stage) {
  const int p = shape.stages, v = shape.chunks, all = v * shape.micro_batches;
  const auto at = [&](int k, bool backward) {
    const int chunk = k % (p * v) / p, micro_batch = k / (p * v) * p + k % p;
    return backward ? ScheduleStep{Work::kBackward, v - 1 - chunk, micro_batch}
                    : ScheduleStep{Work::kForward, chunk, micro_batch};
  };
  const int ahead = std::min(2 * (p - stage - 1) + (v - 1) * p, all);
  Steps steps;
  for (int k = 0; k < ahead; ++k) steps.push_back(at(k, false));
  for (int k = 0; k < all; ++k) {
    if (ahead + k < all) steps.push_back(at(ahead + k, false));
    steps.push_back(at(k, true));
  }
  return steps;
}

// The work that a stash is kept for.
Work last_work(const Steps& steps) {
  const bool split = std::ranges::any_of(
      steps, [](const ScheduleStep& step) { return step.work == Work::kWeightBackward; });
  return split ? Work::kWeightBackward : Work::kBackward;
}

void give_slots(Steps& steps, const PipelineShape& shape) {
  const Work last = last_work(steps);
  struct Chunk {
    std::set<int> free;
    int slots = 0;
    std::vector<int> slot_of;  // by micro-batch
  };
  std::vector<Chunk> chunks(static_cast<size_t>(shape.chunks));
  for (Chunk& chunk : chunks) chunk.slot_of.resize(static_cast<size_t>(shape.micro_batches));
  for (ScheduleStep& step : steps) {
    auto& [free, slots, slot_of] = chunks[step.chunk];
    int& slot = slot_of[step.micro_batch];
    if (step.work == Work::kForward)
      slot = free.empty() ? slots++ : free.extract(free.begin()).value();
    step.slot = slot;
    if (step.work == last) free.insert(slot);
  }
}

// "4, 8": the multiples of `unit` around `value`.
std::string nearest_multiples(int value, int unit) {
  const int below = value / unit * unit;
  return below == 0 ? fmt::format("{}", unit) : fmt::format("{}, {}", below, below + unit);
}

}  // namespace

std::string_view name_of(PipelineSchedule schedule) {
  constexpr std::array<std::string_view, 4> names{"ONE_F_ONE_B", "GPIPE", "INTERLEAVED",
                                                  "ZERO_BUBBLE"};
  return names[static_cast<size_t>(schedule)];
}

void check_schedule(PipelineSchedule kind, const PipelineShape& shape) {
  if (shape.stages < 1 || shape.micro_batches < 1 || shape.chunks < 1)
    fail(
        "parallel: expects at least 1 stage, micro-batch and virtual stage, got {} stages, {} "
        "micro-batches, {} virtual stages",
        shape.stages, shape.micro_batches, shape.chunks);
  if (kind != PipelineSchedule::kInterleaved) {
    if (shape.chunks > 1)
      fail(
          "parallel.virtual_stages ({}) is for parallel.pipeline_schedule INTERLEAVED; with {} it "
          "must be 1",
          shape.chunks, name_of(kind));
    return;
  }
  if (shape.chunks < 2)
    fail(
        "parallel.pipeline_schedule INTERLEAVED expects parallel.virtual_stages of at least 2, got "
        "{}; nearest: 2, or take ONE_F_ONE_B",
        shape.chunks);
  if (shape.micro_batches % shape.stages != 0)
    fail(
        "parallel.pipeline_schedule INTERLEAVED expects a data rank's micro-batches ({}) to be a "
        "multiple of parallel.pipeline ({}); nearest: {} (of train.micro_batch, "
        "train.global_batch and parallel.data), or take ONE_F_ONE_B",
        shape.micro_batches, shape.stages, nearest_multiples(shape.micro_batches, shape.stages));
}

std::vector<ScheduleStep> make_schedule(PipelineSchedule kind, const PipelineShape& shape,
                                        int stage) {
  check_schedule(kind, shape);
  ensure(stage >= 0 && stage < shape.stages, "a stage of the pipeline");
  const auto order = [&] {
    switch (kind) {
      case PipelineSchedule::kGpipe:
        return gpipe(shape.micro_batches);
      case PipelineSchedule::kInterleaved:
        return interleaved(shape, stage);
      case PipelineSchedule::kZeroBubble:
        return zero_bubble(shape, stage);
      case PipelineSchedule::kOneFOneB:
        break;
    }
    return one_f_one_b(shape, stage);
  };
  Steps steps = order();
  give_slots(steps, shape);
  return steps;
}

int stashes_in_flight(const std::vector<ScheduleStep>& schedule) {
  const Work last = last_work(schedule);
  int now = 0, most = 0;
  for (const ScheduleStep& step : schedule) {
    if (step.work == Work::kForward) most = std::max(most, ++now);
    if (step.work == last) --now;
  }
  return most;
}

int slot_count(const std::vector<ScheduleStep>& schedule, int chunk) {
  int slots = 0;
  for (const ScheduleStep& step : schedule)
    if (step.chunk == chunk) slots = std::max(slots, step.slot + 1);
  return slots;
}

}  // namespace trireme::parallel

// In which order a pipeline stage works on its micro-batches: pure functions of five numbers.
//
// A model of p stages and v chunks a stage is cut into p v virtual stages; chunk c of stage s is
// virtual stage c p + s. With m micro-batches, F, B and W the time of a stage's (all chunks')
// forward, input-backward and weight-backward pass, equal stages and free communication:
//
//   schedule     bubble / ideal                    stashes in flight on stage s, at most
//   GPipe        (p-1) / m                         m
//   1F1B         (p-1) / m                         min(p - s, m)
//   interleaved  (p-1) / (v m)                     min(2 (p-s-1) + (v-1) p + 1, v m)
//   ZB-H1        (p-1) (F+B-W) / (m (F+B+W))       min(p, m), as the first stage of 1F1B
//
// ideal = m (F+B+W); ZB-H1's bubble holds for m >= p and W <= min(F, B), else it is larger.
// Sources: Huang et al., GPipe (2019); Narayanan et al., Efficient Large-Scale Language Model
// Training on GPU Clusters (2021); Qi et al., Zero Bubble Pipeline Parallelism (2023).
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace trireme::parallel {

enum class PipelineSchedule : uint8_t { kOneFOneB, kGpipe, kInterleaved, kZeroBubble };
std::string_view name_of(PipelineSchedule schedule);  // as the job file spells it

// kBackward is the input's and the weights' gradients together; only ZB-H1 takes them apart.
enum class Work : uint8_t { kForward, kInputBackward, kWeightBackward, kBackward };

struct ScheduleStep {
  Work work = Work::kForward;
  int chunk = 0;        // of this stage
  int micro_batch = 0;  // backward takes a chunk's micro-batches in the order 0, 1, ...
  int slot = 0;  // of the chunk: where the micro-batch's stash lies from its forward pass to its
                 // last backward pass; the lowest that is free
  bool operator==(const ScheduleStep&) const = default;
};

struct PipelineShape {
  int stages = 1;
  int micro_batches = 1;  // of one data rank in a step
  int chunks = 1;         // of a stage ("virtual stages"); above 1 for kInterleaved alone
};

// Throws InvalidArgument, with the nearest values that fit, for a combination that has no schedule.
void check_schedule(PipelineSchedule kind, const PipelineShape& shape);

// What `stage` (0 ... stages - 1) does in one step. Throws as check_schedule does.
std::vector<ScheduleStep> make_schedule(PipelineSchedule kind, const PipelineShape& shape,
                                        int stage);

// The most stashes that are in flight at any one time, of all chunks together, and the slots that
// one chunk's stashes take (chunks differ in size, so each has its own).
int stashes_in_flight(const std::vector<ScheduleStep>& schedule);
int slot_count(const std::vector<ScheduleStep>& schedule, int chunk = 0);

}  // namespace trireme::parallel

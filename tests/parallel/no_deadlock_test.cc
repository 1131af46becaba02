// Every schedule, on many more shapes than can be run: stages as lists of steps whose receives
// block until the send is there, and whose sends are over when they are received. Messages between
// two stages meet in order, as on a communicator.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <vector>

#include "parallel/pipeline.h"

namespace trireme::parallel {
namespace {

struct Message {
  int chunk = 0, micro_batch = 0;  // of the network, where it goes
  bool taken = false;
  bool operator==(const Message&) const = default;
};

class Walk {
 public:
  Walk(std::vector<std::vector<ScheduleStep>> steps, int chunks)
      : steps_(std::move(steps)), at_(steps_.size()), chunks_(chunks) {}

  // Whether every stage comes to its end.
  bool ends() {
    bool moved = true;
    while (moved && !failed_) {
      moved = false;
      for (size_t stage = 0; stage < steps_.size(); ++stage)
        while (at_[stage] < steps_[stage].size() && advance(static_cast<int>(stage))) moved = true;
    }
    for (size_t stage = 0; stage < steps_.size(); ++stage)
      if (at_[stage] < steps_[stage].size()) return false;
    return !failed_;
  }

 private:
  using Queue = std::deque<Message>;  // of which those received are at the front

  bool advance(int stage) {
    const ScheduleStep& step = steps_[stage][at_[stage]];
    const int stages = static_cast<int>(steps_.size());
    const int chunk = step.chunk * stages + stage, last = chunks_ * stages - 1;
    const bool forward = step.work == Work::kForward;
    std::vector<Message*>& slot = slots_[{stage, step.chunk, step.slot}];
    if (forward) {  // opens the slot
      if (!std::ranges::all_of(slot, &Message::taken)) return false;
      slot.clear();
    }
    if (step.work == Work::kWeightBackward) return ++at_[stage], true;
    const int from = forward ? chunk - 1 : chunk + 1, to = forward ? chunk + 1 : chunk - 1;
    if (from >= 0 && from <= last &&
        !receive(from % stages, stage, forward, {chunk, step.micro_batch}))
      return false;
    if (to >= 0 && to <= last) {
      Queue& queue = sent_[{stage, to % stages, forward}];
      slot.push_back(&queue.emplace_back(Message{to, step.micro_batch}));
    }
    ++at_[stage];
    return true;
  }

  bool receive(int from, int to, bool down, const Message& expected) {
    Queue& queue = sent_[{from, to, down}];
    const auto next = std::ranges::find(queue, false, &Message::taken);
    if (next == queue.end()) return false;
    failed_ |= *next != expected;
    next->taken = true;
    return !failed_;
  }

  std::vector<std::vector<ScheduleStep>> steps_;  // by stage
  std::vector<size_t> at_;
  int chunks_;
  std::map<std::tuple<int, int, bool>, Queue> sent_;  // by sender, receiver, direction
  std::map<std::tuple<int, int, int>, std::vector<Message*>> slots_;
  bool failed_ = false;
};

TEST(NoDeadlock, EveryScheduleComesToItsEnd) {
  for (int p = 2; p <= 8; ++p)
    for (int v = 1; v <= 4; ++v)
      for (int m = 1; m <= 24; ++m)
        for (auto kind : {PipelineSchedule::kOneFOneB, PipelineSchedule::kGpipe,
                          PipelineSchedule::kZeroBubble, PipelineSchedule::kInterleaved}) {
          const bool interleaved = kind == PipelineSchedule::kInterleaved;
          if (interleaved ? v == 1 || m % p != 0 : v > 1) continue;
          std::vector<std::vector<ScheduleStep>> steps;
          for (int stage = 0; stage < p; ++stage)
            steps.push_back(make_schedule(kind, {p, m, v}, stage));
          ASSERT_TRUE(Walk(std::move(steps), v).ends())
              << name_of(kind) << ", p " << p << ", m " << m << ", v " << v;
        }
}

TEST(NoDeadlock, EveryEvaluationComesToItsEnd) {
  for (int p = 2; p <= 8; ++p)
    for (int v = 1; v <= 4; ++v)
      for (int m : {1, 2, 3, 5, 8, 13, 24}) {
        std::vector<std::vector<ScheduleStep>> steps(p);
        for (int stage = 0; stage < p; ++stage) {
          const StagePlace place{.stages = p, .chunks = v, .stage = stage};
          const StageWork work = plan_forward_stage({}, place, m);
          for (const core::Turn& turn : work.turns)
            steps[stage].push_back({.chunk = work.segments[turn.segment].chunk,
                                    .micro_batch = turn.micro_batch,
                                    .slot = turn.slot});
        }
        ASSERT_TRUE(Walk(std::move(steps), v).ends()) << "p " << p << ", m " << m << ", v " << v;
      }
}

// The walk itself: the second stage takes the micro-batches in another order.
TEST(NoDeadlock, AStageThatWaitsForAnotherOrderIsFound) {
  EXPECT_FALSE(
      Walk({{{.micro_batch = 0}, {.micro_batch = 1}}, {{.micro_batch = 1}, {.micro_batch = 0}}}, 1)
          .ends());
}

// A slot is opened again before the stage comes to what its neighbour waits for.
TEST(NoDeadlock, ASlotThatIsNeverLeftIsFound) {
  const ScheduleStep back{.work = Work::kBackward};
  EXPECT_FALSE(Walk({{{}, {.micro_batch = 1, .slot = 1}, {.micro_batch = 2, .slot = 1}, back},
                     {{}, back, {.micro_batch = 1}, {.micro_batch = 2, .slot = 1}}},
                    1)
                   .ends());
}

}  // namespace
}  // namespace trireme::parallel

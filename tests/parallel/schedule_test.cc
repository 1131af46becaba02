#include "parallel/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "core/base/error.h"

namespace trireme::parallel {
namespace {

using Kind = PipelineSchedule;

struct Case {
  Kind kind;
  PipelineShape shape;
};

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (int p : {1, 2, 3, 4, 7})
    for (int m : {1, 2, 3, 4, 7, 8, 12}) {
      for (Kind kind : {Kind::kGpipe, Kind::kOneFOneB, Kind::kZeroBubble})
        cases.push_back({kind, {p, m, 1}});
      if (m % p == 0)
        for (int v : {2, 3}) cases.push_back({Kind::kInterleaved, {p, m, v}});
    }
  return cases;
}

std::string label(const Case& c) {
  return fmt::format("{} p {} m {} v {}", name_of(c.kind), c.shape.stages, c.shape.micro_batches,
                     c.shape.chunks);
}

bool is_backward(Work work) { return work == Work::kBackward || work == Work::kInputBackward; }

TEST(Schedule, EveryPieceOfWorkIsDoneOnce) {
  for (const Case& c : all_cases())
    for (int stage = 0; stage < c.shape.stages; ++stage) {
      SCOPED_TRACE(label(c));
      std::map<std::tuple<Work, int, int>, int> times;
      for (const ScheduleStep& step : make_schedule(c.kind, c.shape, stage))
        ++times[{step.work, step.chunk, step.micro_batch}];
      const size_t kinds = c.kind == Kind::kZeroBubble ? 3 : 2;
      EXPECT_EQ(times.size(), kinds * c.shape.chunks * c.shape.micro_batches);
      for (const auto& [work, count] : times) EXPECT_EQ(count, 1);
      for (const auto& [work, count] : times) {
        const auto [kind, chunk, micro_batch] = work;
        EXPECT_EQ(kind == Work::kBackward, c.kind != Kind::kZeroBubble && kind != Work::kForward);
        EXPECT_TRUE(chunk >= 0 && chunk < c.shape.chunks);
        EXPECT_TRUE(micro_batch >= 0 && micro_batch < c.shape.micro_batches);
      }
    }
}

// Stages take their steps as soon as what they need has been done elsewhere.
TEST(Schedule, DependenciesAreMetWithoutDeadlock) {
  for (const Case& c : all_cases()) {
    SCOPED_TRACE(label(c));
    const int p = c.shape.stages, last = p * c.shape.chunks - 1;
    std::vector<std::vector<ScheduleStep>> steps;
    size_t left = 0;
    for (int s = 0; s < p; ++s)
      left += steps.emplace_back(make_schedule(c.kind, c.shape, s)).size();
    std::set<std::tuple<bool, int, int>> done;  // backward?, virtual stage, micro-batch
    std::vector<size_t> next(p);
    const auto ready = [&](const ScheduleStep& step, int at) {
      const int i = step.micro_batch;
      if (step.work == Work::kForward) return at == 0 || done.contains({false, at - 1, i});
      if (step.work == Work::kWeightBackward) return done.contains({true, at, i});
      return done.contains({false, at, i}) && (at == last || done.contains({true, at + 1, i}));
    };
    for (bool moved = true; moved;) {
      moved = false;
      for (int s = 0; s < p; ++s)
        while (next[s] < steps[s].size()) {
          const ScheduleStep& step = steps[s][next[s]];
          const int at = step.chunk * p + s;
          if (!ready(step, at)) break;
          if (step.work != Work::kWeightBackward)
            done.insert({is_backward(step.work), at, step.micro_batch});
          ++next[s], --left, moved = true;
        }
    }
    EXPECT_EQ(left, 0u);
  }
}

// Gradients are accumulated in the order of the micro-batches, whatever the schedule.
TEST(Schedule, BackwardTakesMicroBatchesInOrder) {
  for (const Case& c : all_cases())
    for (int stage = 0; stage < c.shape.stages; ++stage) {
      SCOPED_TRACE(label(c));
      std::map<std::pair<Work, int>, int> next;
      for (const ScheduleStep& step : make_schedule(c.kind, c.shape, stage))
        EXPECT_EQ(step.micro_batch, (next[{step.work, step.chunk}]++));
    }
}

TEST(Schedule, NoTwoLiveStashesShareASlot) {
  for (const Case& c : all_cases())
    for (int stage = 0; stage < c.shape.stages; ++stage) {
      SCOPED_TRACE(label(c));
      std::map<std::pair<int, int>, int> holder;  // chunk, slot: micro-batch
      const Work last = c.kind == Kind::kZeroBubble ? Work::kWeightBackward : Work::kBackward;
      for (const ScheduleStep& step : make_schedule(c.kind, c.shape, stage)) {
        const std::pair place{step.chunk, step.slot};
        if (step.work == Work::kForward) {
          EXPECT_TRUE(holder.emplace(place, step.micro_batch).second);
        } else {
          EXPECT_EQ(holder.at(place), step.micro_batch);
        }
        if (step.work == last) holder.erase(place);
      }
      EXPECT_TRUE(holder.empty());
    }
}

int stashes(Kind kind, const PipelineShape& shape, int s) {
  const int p = shape.stages, m = shape.micro_batches, v = shape.chunks;
  switch (kind) {
    case Kind::kGpipe:
      return m;
    case Kind::kOneFOneB:
      return std::min(p - s, m);
    case Kind::kInterleaved:
      return std::min(2 * (p - s - 1) + (v - 1) * p + 1, v * m);
    case Kind::kZeroBubble:
      return std::min(p, m);
  }
  return 0;
}

TEST(Schedule, StashesInFlightAreTheFormula) {
  for (const Case& c : all_cases())
    for (int stage = 0; stage < c.shape.stages; ++stage) {
      SCOPED_TRACE(fmt::format("{} stage {}", label(c), stage));
      const std::vector<ScheduleStep> steps = make_schedule(c.kind, c.shape, stage);
      const int in_flight = stashes(c.kind, c.shape, stage);
      EXPECT_EQ(stashes_in_flight(steps), in_flight);
      if (c.shape.chunks == 1) {
        EXPECT_EQ(slot_count(steps), in_flight);
      }
    }
}

// Chunks have their peaks at different times; what their own slots cost is little.
TEST(Schedule, SlotsOfChunks) {
  const std::vector<ScheduleStep> steps = make_schedule(Kind::kInterleaved, {4, 8, 2}, 0);
  EXPECT_EQ(stashes_in_flight(steps), 11);
  EXPECT_EQ(slot_count(steps, 0), 8);
  EXPECT_EQ(slot_count(steps, 1), 4);
}

TEST(Schedule, OneFOneBOfTheMiddleOfThree) {
  const std::vector<ScheduleStep> expected{{Work::kForward, 0, 0, 0},  {Work::kForward, 0, 1, 1},
                                           {Work::kBackward, 0, 0, 0}, {Work::kForward, 0, 2, 0},
                                           {Work::kBackward, 0, 1, 1}, {Work::kForward, 0, 3, 1},
                                           {Work::kBackward, 0, 2, 0}, {Work::kBackward, 0, 3, 1}};
  EXPECT_EQ(make_schedule(Kind::kOneFOneB, {3, 4, 1}, 1), expected);
}

std::string message_of(Kind kind, const PipelineShape& shape) {
  try {
    make_schedule(kind, shape, 0);
  } catch (const InvalidArgument& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(Schedule, Refuses) {
  EXPECT_EQ(message_of(Kind::kInterleaved, {4, 6, 2}),
            "parallel.pipeline_schedule INTERLEAVED expects a data rank's micro-batches (6) to be "
            "a multiple of parallel.pipeline (4); nearest: 4, 8 (of train.micro_batch, "
            "train.global_batch and parallel.data), or take ONE_F_ONE_B");
  EXPECT_THAT(message_of(Kind::kInterleaved, {4, 3, 2}), testing::HasSubstr("nearest: 4 ("));
  EXPECT_THAT(message_of(Kind::kInterleaved, {2, 4, 1}), testing::HasSubstr("nearest: 2,"));
  EXPECT_EQ(message_of(Kind::kGpipe, {2, 4, 3}),
            "parallel.virtual_stages (3) is for parallel.pipeline_schedule INTERLEAVED; with GPIPE "
            "it must be 1");
  EXPECT_THAT(message_of(Kind::kOneFOneB, {0, 4, 1}), testing::HasSubstr("0 stages"));
}

}  // namespace
}  // namespace trireme::parallel

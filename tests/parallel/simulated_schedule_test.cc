// The schedules' bubbles, by simulation: uniform stages and free communication give the formulas.
#include <gtest/gtest.h>

#include <algorithm>

#include "core/sim/simulator.h"
#include "parallel/schedule.h"

namespace trireme::parallel {
namespace {

using core::SimTask;
using Kind = PipelineSchedule;

constexpr uint8_t kCompute = 0, kDownIn = 1, kDownOut = 2, kUpIn = 3, kUpOut = 4;

// Seconds of one chunk's passes.
struct Times {
  double forward = 1, input = 1, weight = 1, message = 0;
  bool early = false;  // receives are issued before the work that comes before them is done
};

class Pipeline {
 public:
  Pipeline(Kind kind, const PipelineShape& shape, const Times& times)
      : shape_(shape), times_(times) {
    world_.groups.resize(2);
    for (int s = 0; s < shape.stages; ++s) {
      world_.ranks.emplace_back();
      for (const ScheduleStep& step : make_schedule(kind, shape, s)) append(s, step);
    }
  }
  core::SimResult run() const { return core::simulate(world_); }
  const core::SimWorld& world() const { return world_; }

 private:
  void append(int stage, const ScheduleStep& step) {
    const int p = shape_.stages, at = step.chunk * p + stage, last = p * shape_.chunks - 1;
    const int above = (stage + p - 1) % p, below = (stage + 1) % p;
    if (step.work == Work::kForward) {
      if (at > 0) message(stage, SimTask::Kind::kRecv, above, 0, kDownIn);
      compute(stage, times_.forward);
      if (at < last) message(stage, SimTask::Kind::kSend, below, 0, kDownOut);
    } else if (step.work == Work::kWeightBackward) {
      compute(stage, times_.weight);
    } else {
      if (at < last) message(stage, SimTask::Kind::kRecv, below, 1, kUpIn);
      compute(stage, times_.input + (step.work == Work::kBackward ? times_.weight : 0));
      if (at > 0) message(stage, SimTask::Kind::kSend, above, 1, kUpOut);
    }
  }
  void compute(int stage, double seconds) { world_.ranks[stage].push_back({.seconds = seconds}); }
  void message(int stage, SimTask::Kind kind, int peer, int group, uint8_t stream) {
    const bool self = peer == stage;  // one stage: chunks hand over in memory
    if (self) return;
    const bool at_once = kind == SimTask::Kind::kRecv && times_.early;
    world_.ranks[stage].push_back({.kind = kind,
                                   .stream = stream,
                                   .waits = at_once ? uint16_t{0} : core::stream_bit(kCompute),
                                   .group = group,
                                   .peer = peer,
                                   .seconds = times_.message});
    if (kind == SimTask::Kind::kRecv)
      world_.ranks[stage].push_back({.waits = core::stream_bit(stream)});
  }

  PipelineShape shape_;
  Times times_;
  core::SimWorld world_;
};

struct Case {
  Kind kind;
  PipelineShape shape;
};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (int p : {1, 2, 3, 4, 8})
    for (int m : {1, 2, 3, 4, 6, 8, 24}) {
      all.push_back({Kind::kGpipe, {p, m, 1}});
      all.push_back({Kind::kOneFOneB, {p, m, 1}});
      if (m >= p) all.push_back({Kind::kZeroBubble, {p, m, 1}});
      for (int v : {2, 3})
        if (m % p == 0) all.push_back({Kind::kInterleaved, {p, m, v}});
    }
  return all;
}

// Of a stage's F, B and W, in seconds.
double bubble(const Case& c, double f, double b, double w) {
  const double p = c.shape.stages, v = c.shape.chunks;
  return c.kind == Kind::kZeroBubble ? (p - 1) * (f + b - w) : (p - 1) * (f + b + w) / v;
}

TEST(SimulatedSchedule, BubblesAreTheFormulas) {
  for (const Case& c : cases())
    for (const Times t : {Times{1, 1, 1}, {3, 4, 2}, {4, 4, 3}, {2, 5, 1}}) {
      const double v = c.shape.chunks, m = c.shape.micro_batches;
      const double f = t.forward * v, b = t.input * v, w = t.weight * v;  // of a whole stage
      const core::SimResult result = Pipeline(c.kind, c.shape, t).run();
      ASSERT_FALSE(result.deadlock);
      EXPECT_NEAR(result.seconds, m * (f + b + w) + bubble(c, f, b, w), 1e-9)
          << name_of(c.kind) << " p " << c.shape.stages << " m " << m << " v " << v;
      for (const core::SimRankTimes& rank : result.ranks)
        EXPECT_NEAR(rank.idle, bubble(c, f, b, w), 1e-9);
    }
}

// Stashes by the clock: from the end of a forward pass to the end of its last backward pass.
int most_stashes(const Case& c, int stage, const std::vector<core::SimSpan>& spans,
                 const std::vector<SimTask>& tasks) {
  std::vector<core::SimSpan> work;
  for (size_t i = 0; i < tasks.size(); ++i)
    if (tasks[i].kind == SimTask::Kind::kCompute && tasks[i].waits == 0) work.push_back(spans[i]);
  const std::vector<ScheduleStep> steps = make_schedule(c.kind, c.shape, stage);
  std::vector<std::pair<double, int>> changes;  // (when, +1 or -1)
  const bool apart = c.kind == Kind::kZeroBubble;
  for (size_t i = 0; i < steps.size(); ++i) {
    if (steps[i].work == Work::kForward) changes.emplace_back(work[i].end, 1);
    if (steps[i].work == (apart ? Work::kWeightBackward : Work::kBackward))
      changes.emplace_back(work[i].end, -1);
  }
  std::ranges::sort(changes);
  int now = 0, most = 0;
  for (const auto& [when, change] : changes) most = std::max(most, now += change);
  return most;
}

int stash_formula(const Case& c, int s) {
  const int p = c.shape.stages, m = c.shape.micro_batches, v = c.shape.chunks;
  switch (c.kind) {
    case Kind::kGpipe:
      return m;
    case Kind::kOneFOneB:
      return std::min(p - s, m);
    case Kind::kZeroBubble:
      return std::min(p, m);
    case Kind::kInterleaved:
      return std::min(2 * (p - s - 1) + (v - 1) * p + 1, v * m);
  }
  return 0;
}

TEST(SimulatedSchedule, StashesAreTheFormulas) {
  for (const Case& c : cases()) {
    const Pipeline pipeline(c.kind, c.shape, {3, 4, 2});
    const core::SimResult result = pipeline.run();
    for (int s = 0; s < c.shape.stages; ++s)
      EXPECT_EQ(most_stashes(c, s, result.spans[s], pipeline.world().ranks[s]), stash_formula(c, s))
          << name_of(c.kind) << " p " << c.shape.stages << " m " << c.shape.micro_batches << " v "
          << c.shape.chunks << " stage " << s;
  }
}

TEST(SimulatedSchedule, BubbleOverIdeal) {
  const auto ratio = [](Kind kind, const PipelineShape& shape, const Times& t) {
    const core::SimRankTimes times = Pipeline(kind, shape, t).run().ranks[0];
    return times.idle / times.busy;
  };
  const Times t{4, 4, 3};
  EXPECT_NEAR(ratio(Kind::kGpipe, {4, 8, 1}, t), 3.0 / 8, 1e-12);
  EXPECT_NEAR(ratio(Kind::kOneFOneB, {4, 8, 1}, t), 3.0 / 8, 1e-12);
  EXPECT_NEAR(ratio(Kind::kInterleaved, {4, 8, 2}, t), 3.0 / (2 * 8), 1e-12);
  EXPECT_NEAR(ratio(Kind::kZeroBubble, {4, 8, 1}, t), 3.0 * (4 + 4 - 3) / (8 * (4 + 4 + 3)), 1e-12);
}

// Receives that are issued early leave GPipe's messages on the way of the first micro-batch down
// and of the first up, p - 1 each; receives that are issued when they are needed add one a
// micro-batch and direction.
TEST(SimulatedSchedule, WhenReceivesAreIssuedDecidesWhatMessagesCost) {
  const PipelineShape shape{4, 8, 1};
  const double computing = 8 * 3 + 3 * 3, c = 0.25;
  const auto seconds = [&](bool early) {
    return Pipeline(Kind::kGpipe, shape, {1, 1, 1, c, early}).run().seconds;
  };
  EXPECT_NEAR(seconds(true), computing + 2 * 3 * c, 1e-9);
  EXPECT_NEAR(seconds(false), computing + 2 * (3 + 7) * c, 1e-9);
}

}  // namespace
}  // namespace trireme::parallel

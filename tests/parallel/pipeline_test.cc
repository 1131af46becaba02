#include "parallel/pipeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>

#include "comm/group_transport.h"
#include "core/base/error.h"
#include "parallel/check_calls.h"
#include "parallel/groups.h"
#include "parallel/plan_training.h"
#include "tests/support/ranks.h"
#include "tests/support/stage_nets.h"

namespace trireme::parallel {
namespace {

using test::NetBatches;
using test::StageNet;

constexpr int kSteps = 4;
constexpr float kNotHeld = 12345.0f;

struct Case {
  StageNet net = StageNet::kDense;
  Layout layout;
  PipelineSchedule schedule = PipelineSchedule::kOneFOneB;
  int virtual_stages = 1;
  int micro_batches = 1;
  int64_t global_batch = 48;
  int zero = 0;
  bool recompute = false;
  std::vector<std::string> ends;
};

std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << "net " << static_cast<int>(c.net) << ", pipeline " << c.layout.pipeline << " x "
             << c.virtual_stages << ", data " << c.layout.data << ", micro-batches "
             << c.micro_batches << ", " << name_of(c.schedule) << ", zero " << c.zero
             << (c.recompute ? ", recompute" : "");
}

using core::StateBuffer;
using Values = std::map<std::string, std::vector<float>>;

// What the ranks saw: losses and norms on each, gradients of step 1 put together from all.
struct Seen {
  std::vector<std::vector<double>> losses, norms;  // by rank, then by step
  std::vector<double> accuracy;                    // by rank
  Values gradients, parameters;
  int tied = 0;  // ranks that hold a parameter together with other stages
};

TrainingOptions options_of(const Case& c, const Mesh& mesh, int rank) {
  const int64_t share = c.global_batch / mesh.size(Axis::kData);
  TrainingOptions options{
      .rank = rank,
      .batch = split_batch(c.global_batch, share / c.micro_batches, mesh.size(Axis::kData)),
      .eval_micro_batch = share / c.micro_batches,
      .eval_micro_batches = c.micro_batches,
      .optimizer = core::AdamOptions{.weight_decay = 0.1f},
      .schedule = {.base_lr = 0.01f},
      .clip_norm = 0.3f,
      .seed = 5,
      .zero = c.zero,
      .recompute = c.recompute,
      .bucket_bytes = 2000};
  options.pipeline = {.schedule = c.schedule, .virtual_stages = c.virtual_stages, .ends = c.ends};
  return options;
}

core::SessionPlan plan_of(const Case& c, const Mesh& mesh, int rank) {
  const TrainingOptions options = options_of(c, mesh, rank);
  const int64_t rows = options.batch.micro_batch;
  return plan_training(test::stage_net(c.net, rows), test::stage_net(c.net, rows, false), mesh,
                       options);
}

// Adds what this rank holds. What several ranks hold must be the same on all.
void put_together(const core::Session& session, StateBuffer buffer, Values& all) {
  for (const core::FlatParameter& parameter : session.plan().layout.parameters) {
    std::vector<float>& whole = all[parameter.name];
    whole.resize(parameter.elements, kNotHeld);
    for (const core::ElementRange& held :
         session.held({buffer, parameter.offset, parameter.elements})) {
      const core::StateRange range{buffer, held.begin, held.elements()};
      std::vector<float> values(held.elements());
      session.read_state(std::span(&range, 1), values.data());
      for (size_t i = 0; i < values.size(); ++i) {
        float& place = whole[held.begin - parameter.offset + i];
        if (place != kNotHeld) {
          EXPECT_EQ(place, values[i]) << parameter.name;
        }
        place = values[i];
      }
    }
  }
}

void train(const Case& c, comm::Communicator& world, std::mutex& mutex, Seen& seen) {
  const int rank = world.rank();
  const Mesh mesh(c.layout, world.size());
  core::SessionPlan plan = plan_of(c, mesh, rank);
  const auto device = core::make_cpu_device(1);
  comm::GroupTransport transport;
  const MeshGroups groups(world, mesh, uses(plan, kTieGroup));
  groups.add_to(transport);
  const int64_t first_row = plan.sample_offset, rows = plan.train.micro_batch;
  core::Session session(*device, transport, std::move(plan));
  check_calls(world, mesh, session.plan());
  session.initialize();
  for (unsigned step = 0; step < kSteps; ++step) {
    NetBatches batches(c.global_batch, step, first_row, rows);
    const core::PassResult& result = session.train_step(batches);
    const std::scoped_lock lock(mutex);
    seen.losses[rank].push_back(result.sums[0].mean());
    seen.norms[rank].push_back(result.step.grad_norm);
    if (step == 0) put_together(session, StateBuffer::kGradients, seen.gradients);
  }
  NetBatches batches(c.global_batch, 99, first_row, rows);
  const double accuracy = session.evaluate(batches).sums[1].mean();
  const std::scoped_lock lock(mutex);
  seen.accuracy[rank] = accuracy;
  put_together(session, StateBuffer::kParameters, seen.parameters);
  seen.tied += uses(session.plan(), kTieGroup) ? 1 : 0;
}

Seen train_on(int ranks, const Case& c) {
  Seen seen;
  seen.losses.resize(ranks);
  seen.norms.resize(ranks);
  seen.accuracy.resize(ranks);
  std::mutex mutex;
  testing::run_ranks(ranks, [&](comm::Communicator& world) { train(c, world, mutex, seen); });
  return seen;
}

// One rank and one micro-batch, by net and batch.
const Seen& reference(const Case& c) {
  static std::map<std::pair<StageNet, int64_t>, Seen> seen;
  Seen& one = seen[{c.net, c.global_batch}];
  if (one.losses.empty()) one = train_on(1, {.net = c.net, .global_batch = c.global_batch});
  return one;
}

void expect_close(const Values& got, const Values& want, float bound) {
  ASSERT_EQ(got.size(), want.size());
  for (const auto& [name, expected] : want) {
    const std::vector<float>& values = got.at(name);
    ASSERT_EQ(values.size(), expected.size()) << name;
    float largest = 0;
    for (float value : expected) largest = std::max(largest, std::abs(value));
    ASSERT_GT(largest, 1e-4f) << name << ": values near zero prove nothing";
    for (size_t i = 0; i < values.size(); ++i)
      ASSERT_NEAR(values[i], expected[i], bound * largest) << name << "[" << i << "]";
  }
}

class Pipeline : public ::testing::TestWithParam<Case> {};

TEST_P(Pipeline, EqualsOneRank) {
  const Case& c = GetParam();
  const Seen& one = reference(c);
  const Seen seen = train_on(std::max(1, c.layout.data) * c.layout.pipeline, c);
  for (size_t rank = 0; rank < seen.losses.size(); ++rank) {
    for (int step = 0; step < kSteps; ++step) {
      const double loss = one.losses[0][step], norm = one.norms[0][step];
      EXPECT_NEAR(seen.losses[rank][step], loss, 1e-5 * loss) << step;
      EXPECT_NEAR(seen.norms[rank][step], norm, (step == 0 ? 1e-5 : 1e-3) * norm) << step;
    }
    EXPECT_EQ(seen.accuracy[rank], one.accuracy[0]);
  }
  expect_close(seen.gradients, one.gradients, 1e-5f);
  expect_close(seen.parameters, one.parameters, 1e-2f);
  // Of an interleaved pipeline both uses of the shared layer may lie on one stage.
  if (c.net != StageNet::kTied || c.virtual_stages == 1) {
    EXPECT_EQ(seen.tied, c.net == StageNet::kTied ? 2 * c.layout.data : 0);
  }
}

using enum PipelineSchedule;
using enum StageNet;

Case make_case(StageNet net, int stages, PipelineSchedule schedule, int chunks, int m) {
  return {.net = net,
          .layout = {.data = 1, .pipeline = stages},
          .schedule = schedule,
          .virtual_stages = chunks,
          .micro_batches = m};
}

std::vector<Case> pipelines() {
  std::vector<Case> all;
  for (StageNet net : {kDense, kSkips, kImages, kTied, kViews})
    for (int stages : {2, 3, 4}) {
      const int m = stages == 3 ? 3 : 4;
      for (PipelineSchedule schedule : {kOneFOneB, kGpipe, kZeroBubble})
        all.push_back(make_case(net, stages, schedule, 1, m));
      if (net != kImages || stages == 2)
        all.push_back(make_case(net, stages, kInterleaved, 2, stages == 3 ? 6 : 8));
    }
  for (int m : {1, 3, 8}) all.push_back(make_case(kDense, 4, kOneFOneB, 1, m));
  for (int m : {1, 2, 8}) all.push_back(make_case(kTied, 3, kZeroBubble, 1, m));
  all.push_back(make_case(kDense, 2, kInterleaved, 4, 6));
  return all;
}

Case with(Case c, int data, int zero, bool recompute = false, int64_t global_batch = 48) {
  c.layout.data = data;
  c.zero = zero;
  c.recompute = recompute;
  c.global_batch = global_batch;
  return c;
}

// The two uses of the shared layer in two chunks of the first stage.
Case shared_in_a_stage() {
  Case c = make_case(kTied, 2, kInterleaved, 2, 2);
  c.ends = {"fc0", "fc2", "last"};
  return c;
}

std::vector<Case> combinations() {
  return {with(shared_in_a_stage(), 2, 0),
          with(shared_in_a_stage(), 2, 1),
          with(make_case(kDense, 2, kOneFOneB, 1, 3), 2, 0, false, 30),
          with(make_case(kDense, 3, kInterleaved, 2, 3), 2, 2),
          with(make_case(kDense, 2, kZeroBubble, 1, 4), 3, 3, false, 60),
          with(make_case(kSkips, 3, kInterleaved, 2, 3), 2, 0),
          with(make_case(kSkips, 2, kZeroBubble, 1, 2), 1, 0, true),
          with(make_case(kSkips, 3, kOneFOneB, 1, 4), 2, 3, true),
          with(make_case(kSkips, 2, kInterleaved, 2, 4), 2, 1, true),
          with(make_case(kImages, 2, kGpipe, 1, 4), 2, 1),
          with(make_case(kTied, 2, kZeroBubble, 1, 4), 3, 0, false, 60),
          with(make_case(kTied, 3, kOneFOneB, 1, 2), 2, 1),
          with(make_case(kTied, 2, kGpipe, 1, 4), 2, 2),
          with(make_case(kTied, 2, kOneFOneB, 1, 2), 3, 3),
          with(make_case(kTied, 2, kInterleaved, 2, 2), 2, 1),
          with(make_case(kViews, 2, kInterleaved, 2, 4), 1, 0, true),
          with(make_case(kViews, 2, kInterleaved, 2, 2), 2, 1)};
}

INSTANTIATE_TEST_SUITE_P(Schedules, Pipeline, ::testing::ValuesIn(pipelines()));
INSTANTIATE_TEST_SUITE_P(Combinations, Pipeline, ::testing::ValuesIn(combinations()));

TEST(PipelinePlan, WhatTwoChunksOfAStageShareIsRefusedWithZero2) {
  const Case c = with(shared_in_a_stage(), 2, 2);
  try {
    plan_of(c, Mesh(c.layout, 4), 0);
    FAIL() << "expected InvalidArgument";
  } catch (const InvalidArgument& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("parallel.zero: two chunks of a stage share"));
  }
}

}  // namespace
}  // namespace trireme::parallel

#include "parallel/pipeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>

#include "comm/group_transport.h"
#include "core/base/error.h"
#include "parallel/calls.h"
#include "parallel/groups.h"
#include "parallel/plan_training.h"
#include "tests/support/ranks.h"
#include "tests/support/stage_nets.h"

namespace trireme::parallel {
namespace {

using test::NetBatches;
using test::StageNet;

constexpr int kSteps = 4;

struct Case {
  StageNet net = StageNet::kDense;
  Layout layout;
  PipelineSchedule schedule = PipelineSchedule::kOneFOneB;
  int virtual_stages = 1;
  int micro_batches = 1;
  int64_t global_batch = 48;
  std::vector<std::string> ends;
};

std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << "net " << static_cast<int>(c.net) << ", pipeline " << c.layout.pipeline << " x "
             << c.virtual_stages << ", data " << c.layout.data << ", micro-batches "
             << c.micro_batches << ", " << name_of(c.schedule);
}

using Values = std::map<std::string, std::vector<float>>;

// What one rank saw.
struct Seen {
  std::vector<double> losses, norms;
  double accuracy = 0;
  Values gradients, parameters;  // of step 1, and after the last one
  bool tied = false;
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

Values values_of(const core::Session& session, bool gradients) {
  Values values;
  for (const core::FlatParameter& parameter : session.plan().layout.parameters)
    values[parameter.name] =
        gradients ? session.gradient(parameter.name) : session.parameter(parameter.name);
  return values;
}

Seen train(const Case& c, comm::Communicator& world) {
  const Mesh mesh(c.layout, world.size());
  core::SessionPlan plan = plan_of(c, mesh, world.rank());
  const auto device = core::make_cpu_device(1);
  comm::GroupTransport transport;
  const MeshGroups groups(world, mesh, uses(plan, kTieGroup));
  groups.add_to(transport);
  const int64_t first_row = plan.sample_offset, rows = plan.train.micro_batch;
  core::Session session(*device, transport, std::move(plan));
  for (int group = 0; group < kGroups; ++group)
    if (comm::Communicator* members = groups.at(static_cast<Group>(group)))
      comm::check_collective_hash(*members, group, collectives(session.plan()));
  session.initialize();
  Seen seen;
  for (unsigned step = 0; step < kSteps; ++step) {
    NetBatches batches(c.global_batch, step, first_row, rows);
    const core::PassResult& result = session.train_step(batches);
    seen.losses.push_back(result.sums[0].mean());
    seen.norms.push_back(result.step.grad_norm);
    if (step == 0) seen.gradients = values_of(session, true);
  }
  NetBatches batches(c.global_batch, 99, first_row, rows);
  seen.accuracy = session.evaluate(batches).sums[1].mean();
  seen.parameters = values_of(session, false);
  seen.tied = uses(session.plan(), kTieGroup);
  return seen;
}

std::vector<Seen> train_on(int ranks, const Case& c) {
  std::vector<Seen> all(ranks);
  testing::run_ranks(ranks,
                     [&](comm::Communicator& world) { all[world.rank()] = train(c, world); });
  return all;
}

// One rank and one micro-batch, by net and batch.
const Seen& reference(const Case& c) {
  static std::map<std::pair<StageNet, int64_t>, Seen> seen;
  Seen& one = seen[{c.net, c.global_batch}];
  if (one.losses.empty()) one = train_on(1, {.net = c.net, .global_batch = c.global_batch}).front();
  return one;
}

void expect_close(const Values& got, const Values& want, float bound) {
  for (const auto& [name, values] : got) {
    const std::vector<float>& expected = want.at(name);
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
  std::map<std::string, int> held;
  int tied = 0;
  for (const Seen& rank : train_on(c.layout.data * c.layout.pipeline, c)) {
    for (int step = 0; step < kSteps; ++step) {
      EXPECT_NEAR(rank.losses[step], one.losses[step], 1e-5 * one.losses[step]) << step;
      EXPECT_NEAR(rank.norms[step], one.norms[step], (step == 0 ? 1e-5 : 1e-3) * one.norms[step]);
    }
    EXPECT_EQ(rank.accuracy, one.accuracy);
    expect_close(rank.gradients, one.gradients, 1e-5f);
    for (const auto& [name, values] : rank.gradients) ++held[name];
    tied += rank.tied ? 1 : 0;
  }
  // Of an interleaved pipeline both uses of the shared layer may lie on one stage.
  for (const auto& [name, values] : one.gradients)
    EXPECT_EQ(held[name], std::max(c.layout.data, name.starts_with("shared/") ? tied : 0)) << name;
}

std::vector<Case> cases() {
  std::vector<Case> all;
  const auto add = [&](StageNet net, int stages, PipelineSchedule schedule, int chunks, int m,
                       int data = 1, int64_t batch = 48) {
    all.push_back({.net = net,
                   .layout = {.data = data, .pipeline = stages},
                   .schedule = schedule,
                   .virtual_stages = chunks,
                   .micro_batches = m,
                   .global_batch = batch});
  };
  using enum PipelineSchedule;
  using enum StageNet;
  for (StageNet net : {kDense, kSkips, kImages, kTied})
    for (int stages : {2, 3, 4}) {
      const int m = stages == 3 ? 3 : 4;
      for (PipelineSchedule schedule : {kOneFOneB, kGpipe, kZeroBubble})
        add(net, stages, schedule, 1, m);
      if (net != kImages || stages < 4) add(net, stages, kInterleaved, 2, 2 * m / stages * stages);
    }
  for (int m : {1, 3, 8}) add(kDense, 4, kOneFOneB, 1, m);
  for (int m : {1, 2, 8}) add(kTied, 3, kZeroBubble, 1, m);
  add(kDense, 2, kInterleaved, 4, 6);
  add(kDense, 2, kOneFOneB, 1, 3, 2, 30);
  add(kSkips, 3, kInterleaved, 2, 3, 2);
  add(kTied, 2, kZeroBubble, 1, 4, 3, 60);
  add(kImages, 2, kGpipe, 1, 4, 2);
  return all;
}

INSTANTIATE_TEST_SUITE_P(Layouts, Pipeline, ::testing::ValuesIn(cases()));

}  // namespace
}  // namespace trireme::parallel

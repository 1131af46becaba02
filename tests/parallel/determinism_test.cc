// train.determinism LAYOUT: the same bits of parameters, losses and norms in every layout.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <bit>
#include <cstdlib>
#include <mutex>

#include "parallel/calls.h"
#include "parallel/groups.h"
#include "parallel/plan_training.h"
#include "tests/parallel/layout_nets.h"
#include "tests/support/ranks.h"
#include "tests/support/sanitized.h"
#include "tests/support/whole_state.h"

namespace trireme::parallel {
namespace {

using core::StateBuffer;
using test::Net;
using test::Tensors;

constexpr int64_t kBatch = 16;
constexpr int kLeaves = 8, kSteps = 50, kMostRanks = 8;

struct Case {
  Net net = test::kMlp;
  int data = 1, pipeline = 1, zero = 0;
  PipelineSchedule schedule = PipelineSchedule::kOneFOneB;
  bool recompute = false;
  int leaves = kLeaves;  // 0: RUN
  int steps = kSteps;

  int ranks() const { return data * pipeline; }
  // A leaf of two rows has one micro-batch; of GPT two.
  int64_t micro_batch() const { return test::is_language(net) ? 1 : 2; }
  std::string name() const {
    return fmt::format("{}_d{}p{}_zero{}_{}{}", test::kNetNames[net], data, pipeline, zero,
                       static_cast<int>(schedule), recompute ? "_again" : "");
  }
};

std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name(); }

TrainingOptions options_of(const Case& c, int rank) {
  const BatchSplit batch = c.leaves > 0
                               ? split_leaves(kBatch, c.micro_batch(), c.data, c.leaves, c.zero)
                               : split_batch(kBatch, c.micro_batch(), c.data);
  TrainingOptions options{.rank = rank,
                          .batch = batch,
                          .eval_micro_batch = c.micro_batch(),
                          .eval_micro_batches = batch.micro_batches,
                          .optimizer = core::AdamOptions{.weight_decay = 0.1f},
                          .average = core::AverageOptions{.decay = 0.8f},
                          .schedule = {.base_lr = 3e-3f},
                          .clip_norm = 0.5f,
                          .seed = 3,
                          .zero = c.zero,
                          .recompute = c.recompute,
                          .bucket_bytes = 6000};
  options.pipeline = {.schedule = c.schedule,
                      .virtual_stages = c.schedule == PipelineSchedule::kInterleaved ? 2 : 1};
  return options;
}

struct Seen {
  std::vector<double> losses, norms;
  double eval_loss = 0;
  Tensors parameters, moments, second_moments, averages;
  core::StepCounters counters;

  bool operator==(const Seen& other) const {
    return losses == other.losses && norms == other.norms && eval_loss == other.eval_loss &&
           parameters == other.parameters && moments == other.moments &&
           second_moments == other.second_moments && averages == other.averages;
  }
};

// Puts whole tensors into what this rank holds of them.
void restore(core::Session& session, StateBuffer buffer, const Tensors& tensors) {
  for (const core::FlatParameter& parameter : session.plan().layout.parameters)
    session.write_state({buffer, parameter.offset, parameter.elements}, tensors.at(parameter.name));
}

// Steps from `start`, if any, up to c.steps.
void train(const Case& c, comm::Communicator& world, const Seen* start, std::mutex& mutex,
           Seen& seen) {
  const Mesh mesh({.data = c.data, .tensor = 1, .pipeline = c.pipeline}, world.size());
  const TrainingOptions options = options_of(c, world.rank());
  const auto graph = [&](bool training) {
    return models::build_model(test::model_of(c.net),
                               test::request_of(c.net, options.batch.micro_batch, training));
  };
  core::SessionPlan plan = plan_training(graph(true), graph(false), mesh, options);
  const auto device = core::make_cpu_device(1);
  comm::GroupTransport transport;
  const MeshGroups groups(world, mesh, uses(plan, kTieGroup));
  groups.add_to(transport);
  core::Session session(*device, transport, std::move(plan));
  session.initialize();
  unsigned first = 0;
  if (start != nullptr) {
    restore(session, StateBuffer::kParameters, start->parameters);
    restore(session, StateBuffer::kMoment1, start->moments);
    restore(session, StateBuffer::kMoment2, start->second_moments);
    restore(session, StateBuffer::kAverage, start->averages);
    session.set_counters(start->counters);
    first = static_cast<unsigned>(start->counters.attempted);
  }
  const int data_rank = mesh.coordinate(world.rank(), Axis::kData);
  std::vector<double> losses, norms;
  for (unsigned step = first; step < static_cast<unsigned>(c.steps); ++step) {
    test::Rows rows(c.net, step, options.batch, data_rank);
    const core::PassResult& result = session.train_step(rows);
    losses.push_back(result.sums[0].mean());
    norms.push_back(result.step.grad_norm);
  }
  BatchSplit straight = split_batch(kBatch, c.micro_batch(), c.data);
  test::Rows rows(c.net, 99, straight, data_rank);
  const double eval_loss = session.evaluate(rows).sums[0].mean();
  const std::scoped_lock lock(mutex);
  test::assemble(session, StateBuffer::kParameters, seen.parameters);
  test::assemble(session, StateBuffer::kMoment1, seen.moments);
  test::assemble(session, StateBuffer::kMoment2, seen.second_moments);
  test::assemble(session, StateBuffer::kAverage, seen.averages);
  if (!seen.losses.empty()) {
    EXPECT_EQ(losses, seen.losses) << "of one rank and another";
    EXPECT_EQ(norms, seen.norms);
    EXPECT_EQ(eval_loss, seen.eval_loss);
  }
  seen.losses = losses;
  seen.norms = norms;
  seen.eval_loss = eval_loss;
  seen.counters = session.counters();
}

Seen train_on(const Case& c, const Seen* start = nullptr) {
  Seen seen;
  std::mutex mutex;
  testing::run_ranks(c.ranks(),
                     [&](comm::Communicator& world) { train(c, world, start, mutex, seen); });
  return seen;
}

const Seen& one_rank(Net net) {
  static std::map<Net, Seen> seen;
  Seen& one = seen[net];
  if (one.losses.empty()) one = train_on({.net = net});
  return one;
}

// The largest difference, for messages.
double difference(const Tensors& a, const Tensors& b) {
  double most = 0;
  for (const auto& [name, values] : a)
    for (size_t i = 0; i < values.size(); ++i)
      most = std::max(most, std::abs(double{values[i]} - double{b.at(name)[i]}));
  return most;
}

// GPT in every layout that fits, the others in every third; in every one if TRIREME_LAYOUTS is set:
// the campaign.
std::vector<Case> cases() {
  std::vector<Case> all;
  for (const Net net : {test::kMlp, test::kLenet5, test::kGpt})
    for (const int pipeline : {1, 2, 4})
      for (const int data : {1, 2, 4, 8})
        for (const int zero : {0, 1, 2, 3}) {
          Case c{.net = net, .data = data, .pipeline = pipeline, .zero = zero};
          if (c.ranks() == 1 || c.ranks() > kMostRanks || (data == 1 && zero > 0)) continue;
          c.recompute = net == test::kGpt && zero % 2 == 1;
          if (pipeline > 1) c.schedule = static_cast<PipelineSchedule>(all.size() % 4);
          const bool chunks = net == test::kGpt || pipeline == 2;
          if (c.schedule == PipelineSchedule::kInterleaved &&
              (!chunks || (kBatch / data / c.micro_batch()) % pipeline != 0))
            c.schedule = PipelineSchedule::kOneFOneB;
          all.push_back(c);
        }
  if (std::getenv("TRIREME_LAYOUTS") != nullptr) return all;
  int number = 0;
  std::erase_if(all, [&](const Case& c) { return c.net != test::kGpt && number++ % 3 != 0; });
  if (test::kSanitized) std::erase_if(all, [&](const Case&) { return number++ % 8 != 0; });
  return all;
}

class InEveryLayout : public ::testing::TestWithParam<Case> {};

TEST_P(InEveryLayout, EqualsOneRankBitForBit) {
  const Seen& one = one_rank(GetParam().net);
  ASSERT_EQ(one.losses.size(), kSteps);
  EXPECT_NE(one.losses.back(), one.losses.front());
  const Seen seen = train_on(GetParam());
  EXPECT_EQ(seen.losses, one.losses);
  EXPECT_EQ(seen.norms, one.norms);
  EXPECT_EQ(seen.eval_loss, one.eval_loss);
  EXPECT_EQ(difference(one.parameters, seen.parameters), 0);
  EXPECT_TRUE(seen == one);
}

// Else the tests above would prove nothing: in the order that RUN gives them, the same sums differ.
TEST(LayoutDeterminism, WithoutItRanksMakeADifference) {
  for (const Net net : {test::kMlp, test::kGpt}) {
    const Seen one = train_on({.net = net, .leaves = 0, .steps = 5});
    const Seen four = train_on({.net = net, .data = 4, .leaves = 0, .steps = 5});
    EXPECT_GT(difference(one.parameters, four.parameters), 0);
    EXPECT_LT(difference(one.parameters, four.parameters), 1e-2);
  }
}

// More leaves are another sum.
TEST(LayoutDeterminism, VirtualShardsMakeADifference) {
  const Seen eight = train_on({.net = test::kMlp, .steps = 5});
  const Seen four = train_on({.net = test::kMlp, .leaves = 4, .steps = 5});
  EXPECT_GT(difference(eight.parameters, four.parameters), 0);
}

TEST(LayoutDeterminism, ARunCutAndGoneOnElsewhereEqualsTheUnbroken) {
  const Case before{.net = test::kGpt, .data = 4, .zero = 3, .steps = kSteps / 2};
  const Case after{.net = test::kGpt,
                   .data = 2,
                   .pipeline = 2,
                   .zero = 1,
                   .schedule = PipelineSchedule::kZeroBubble};
  const Seen cut = train_on(before);
  const Seen seen = train_on(after, &cut);
  const Seen& one = one_rank(test::kGpt);
  EXPECT_EQ(difference(one.parameters, seen.parameters), 0);
  EXPECT_TRUE(one.parameters == seen.parameters && one.moments == seen.moments);
  EXPECT_EQ(one.losses.back(), seen.losses.back());
}

INSTANTIATE_TEST_SUITE_P(LayoutDeterminism, InEveryLayout, ::testing::ValuesIn(cases()),
                         [](const auto& info) { return info.param.name(); });

}  // namespace
}  // namespace trireme::parallel

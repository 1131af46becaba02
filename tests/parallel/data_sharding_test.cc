#include "parallel/data_sharding.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <mutex>

#include "comm/group_transport.h"
#include "parallel/plan_training.h"
#include "tests/support/ranks.h"
#include "tests/support/small_session.h"
#include "tests/support/whole_state.h"

namespace trireme::parallel {
namespace {

using core::StateBuffer;
using test::SmallBatches;
using test::SmallNet;

constexpr int kSteps = 4;
using test::Tensors;

struct Seen {
  std::vector<double> losses, norms;
  double accuracy = 0;
  Tensors gradients;  // of step 1
  Tensors parameters, moments, averages;
  int64_t arena_bytes = 0;
};

Seen train(const SmallNet& net, comm::Communicator& group, int zero, std::mutex& mutex, Seen& all) {
  const int ranks = group.size(), rank = group.rank();
  const int64_t micro_batch = net.batch / ranks / net.micro_batches;
  const TrainingOptions options{.rank = rank,
                                .batch = split_batch(net.batch, micro_batch, ranks),
                                .eval_micro_batch = micro_batch,
                                .eval_micro_batches = net.micro_batches,
                                .optimizer = net.optimizer,
                                .average = core::AverageOptions{.decay = 0.5f},
                                .schedule = {.base_lr = net.lr},
                                .clip_norm = net.clip_norm,
                                .groups = {{.match = "fc1/bias", .frozen = true}},
                                .seed = 3,
                                .zero = zero,
                                .bucket_bytes = 300};
  SmallNet judged = net;
  judged.dropout = 0;
  const Mesh mesh({}, ranks);
  const auto device = core::make_cpu_device(1);
  comm::GroupTransport transport;
  const MeshGroups groups(group, mesh, false);
  groups.add_to(transport);
  core::Session session(*device, transport,
                        plan_training(test::small_graph(net, micro_batch),
                                      test::small_graph(judged, micro_batch), mesh, options));
  session.initialize();
  Seen seen;
  seen.arena_bytes = session.arena_bytes();
  const auto share = [&](StateBuffer buffer, Tensors& tensors) {
    const std::scoped_lock lock(mutex);
    test::assemble(session, buffer, tensors);
  };
  for (unsigned step = 0; step < kSteps; ++step) {
    SmallBatches batches(net, step, rank, ranks);
    const core::PassResult& result = session.train_step(batches);
    seen.losses.push_back(result.sums[0].mean());
    seen.norms.push_back(result.step.grad_norm);
    if (step == 0) share(StateBuffer::kGradients, all.gradients);
  }
  SmallBatches batches(net, 99, rank, ranks);
  seen.accuracy = session.evaluate(batches).sums[1].mean();
  share(StateBuffer::kParameters, all.parameters);
  if (core::moment_count(net.optimizer) > 0) share(StateBuffer::kMoment1, all.moments);
  share(StateBuffer::kAverage, all.averages);
  return seen;
}

Seen train_on(int ranks, const SmallNet& net, int zero) {
  Seen all;
  std::mutex mutex;
  testing::run_ranks(ranks, [&](comm::Communicator& group) {
    const Seen seen = train(net, group, zero, mutex, all);
    if (group.rank() > 0) return;
    const std::scoped_lock lock(mutex);
    all.losses = seen.losses;
    all.norms = seen.norms;
    all.accuracy = seen.accuracy;
    all.arena_bytes = seen.arena_bytes;
  });
  return all;
}

void expect_near(const Tensors& got, const Tensors& want, double bound) {
  ASSERT_EQ(got.size(), want.size());
  for (const auto& [name, values] : want) {
    double scale = 0;
    for (float value : values) scale = std::max(scale, std::abs(double{value}));
    EXPECT_GT(scale, 0) << name;
    for (size_t i = 0; i < values.size(); ++i)
      ASSERT_NEAR(got.at(name)[i], values[i], bound * scale) << name << "[" << i << "]";
  }
}

struct Setting {
  std::string name;
  SmallNet net;
};

class EveryZero : public ::testing::TestWithParam<Setting> {};

TEST_P(EveryZero, GivesWhatOneRankGives) {
  const SmallNet& net = GetParam().net;
  const Seen want = train_on(1, net, 0);
  for (int ranks : {2, 3})
    for (int zero : {0, 1, 2, 3}) {
      SCOPED_TRACE(fmt::format("{} ranks, zero {}", ranks, zero));
      const Seen got = train_on(ranks, net, zero);
      for (int step = 0; step < kSteps; ++step) {
        EXPECT_NEAR(got.losses[step], want.losses[step], 2e-6 * want.losses[step]);
        EXPECT_NEAR(got.norms[step], want.norms[step], 1e-5 * want.norms[step]);
      }
      EXPECT_EQ(got.accuracy, want.accuracy);
      expect_near(got.gradients, want.gradients, 1e-6);
      expect_near(got.parameters, want.parameters, 1e-4);
      if (!want.moments.empty()) expect_near(got.moments, want.moments, 1e-5);
      expect_near(got.averages, want.averages, 1e-4);
    }
}

const Setting kSettings[] = {
    {"Sgd", {}},
    {"MicroBatches", {.batch = 24, .micro_batches = 2, .dropout = 0.3f}},
    {"Momentum",
     {.batch = 24, .micro_batches = 2, .optimizer = core::SgdOptions{.momentum = 0.9f}}},
    {"AdamClipped",
     {.batch = 24,
      .inputs = 33,
      .hidden = 65,
      .micro_batches = 2,
      .clip_norm = 0.05f,
      .optimizer = core::AdamOptions{.weight_decay = 0.1f},
      .lr = 0.01f}},
};
INSTANTIATE_TEST_SUITE_P(DataSharding, EveryZero, ::testing::ValuesIn(kSettings),
                         [](const auto& info) { return info.param.name; });

// Level 2 pays off where there are more buckets than the two that are alive.
TEST(DataSharding, SlicesTakeLessMemory) {
  const SmallNet net{.inputs = 300, .hidden = 200, .optimizer = core::AdamOptions{}, .lr = 0.01f};
  int64_t before = train_on(4, net, 0).arena_bytes;
  for (int zero : {1, 3}) {
    const int64_t bytes = train_on(4, net, zero).arena_bytes;
    EXPECT_LT(bytes, before) << "zero " << zero;
    before = bytes;
  }
}

}  // namespace
}  // namespace trireme::parallel

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
#include "tests/support/small_session.h"

namespace trireme::parallel {
namespace {

using test::SmallBatches;
using test::SmallNet;

constexpr int kSteps = 4;
const std::vector<std::string> kNames{"fc1/weight", "fc1/bias", "fc2/weight", "fc2/bias"};

// What one rank saw: the losses of the steps, every gradient of step 1, the final parameters.
struct Seen {
  std::vector<double> losses;
  double accuracy = 0;
  std::map<std::string, std::vector<float>> gradients;
  std::vector<float> parameters;
};

TrainingOptions options_of(const SmallNet& net, int rank, int ranks, int64_t bucket_bytes) {
  const int64_t micro_batch = net.batch / ranks / net.micro_batches;
  return {.rank = rank,
          .batch = split_batch(net.batch, micro_batch, ranks),
          .eval_micro_batch = micro_batch,
          .eval_micro_batches = net.micro_batches,
          .optimizer = net.optimizer,
          .schedule = {.base_lr = net.lr},
          .clip_norm = net.clip_norm,
          .seed = 3,
          .bucket_bytes = bucket_bytes};
}

SmallNet without_dropout(SmallNet net) {
  net.dropout = 0;
  return net;
}

Seen train(const SmallNet& net, comm::Communicator& group, int64_t bucket_bytes) {
  const int ranks = group.size(), rank = group.rank();
  const TrainingOptions options = options_of(net, rank, ranks, bucket_bytes);
  const int64_t micro_batch = options.batch.micro_batch;
  const auto device = core::make_cpu_device(1);
  comm::GroupTransport transport;
  const MeshGroups groups(group, Mesh({}, ranks));
  groups.add_to(transport);
  core::Session session(*device, transport,
                        plan_training(test::small_graph(net, micro_batch),
                                      test::small_graph(without_dropout(net), micro_batch),
                                      Mesh({}, ranks), options));
  session.initialize();
  Seen seen;
  for (unsigned step = 0; step < kSteps; ++step) {
    SmallBatches batches(net, step, rank, ranks);
    seen.losses.push_back(session.train_step(batches).sums[0].mean());
    if (step == 0)
      for (const std::string& name : kNames) seen.gradients[name] = session.gradient(name);
  }
  SmallBatches batches(net, 99, rank, ranks);
  seen.accuracy = session.evaluate(batches).sums[1].mean();
  for (const std::string& name : kNames) {  // the buffers' padding depends on the layout
    const std::vector<float> values = session.parameter(name);
    seen.parameters.insert(seen.parameters.end(), values.begin(), values.end());
  }
  return seen;
}

std::vector<Seen> train_on(int ranks, const SmallNet& net, int64_t bucket_bytes = 256) {
  std::vector<Seen> all(ranks);
  testing::run_ranks(ranks, [&](comm::Communicator& group) {
    all[group.rank()] = train(net, group, bucket_bytes);
  });
  return all;
}

void expect_close(const std::vector<float>& got, const std::vector<float>& want,
                  const std::string& name) {
  ASSERT_EQ(got.size(), want.size());
  float largest = 0;
  for (float value : want) largest = std::max(largest, std::abs(value));
  ASSERT_GT(largest, 1e-3f) << name << ": values near zero prove nothing";
  for (size_t i = 0; i < got.size(); ++i)
    ASSERT_NEAR(got[i], want[i], 2e-6f * largest) << name << "[" << i << "]";
}

struct Case {
  int ranks;
  int micro_batches;
  int64_t bucket_bytes;
};

class DataParallel : public ::testing::TestWithParam<Case> {};

TEST_P(DataParallel, EqualsOneRank) {
  const Case& c = GetParam();
  SmallNet net{.batch = 84,
               .clip_norm = 0.5f,
               .optimizer = core::AdamOptions{.weight_decay = 0.1f},
               .lr = 0.01f};
  // Masks are drawn by sample number, so they do not depend on the layout either.
  net.dropout = 0.3f;
  const Seen one = train_on(1, net).front();
  net.micro_batches = c.micro_batches;
  for (const Seen& rank : train_on(c.ranks, net, c.bucket_bytes)) {
    for (int step = 0; step < kSteps; ++step)
      EXPECT_NEAR(rank.losses[step], one.losses[step],
                  (step == 0 ? 1e-6 : 1e-5) * one.losses[step]);
    EXPECT_EQ(rank.accuracy, one.accuracy);
    for (const std::string& name : kNames)
      expect_close(rank.gradients.at(name), one.gradients.at(name), name);
  }
}

INSTANTIATE_TEST_SUITE_P(Layouts, DataParallel,
                         ::testing::Values(Case{1, 2, 256}, Case{2, 1, 256}, Case{2, 3, 1 << 20},
                                           Case{3, 1, 256}, Case{3, 2, 64}, Case{7, 1, 256},
                                           Case{7, 3, 256}));

TEST(DataParallel, EveryRankHoldsTheSameBitsAndARunRepeatsThem) {
  const SmallNet net{.batch = 84, .optimizer = core::SgdOptions{.momentum = 0.9f}};
  const std::vector<Seen> first = train_on(3, net), second = train_on(3, net);
  for (int rank = 0; rank < 3; ++rank) {
    EXPECT_EQ(first[rank].parameters, first[0].parameters);
    EXPECT_EQ(first[rank].parameters, second[rank].parameters);
    EXPECT_EQ(first[rank].losses, second[rank].losses);
  }
}

TEST(DataParallel, BucketsAreReducedBeforeBackwardEnds) {
  const SmallNet net{.batch = 84};
  const core::SessionPlan plan = plan_training(test::small_graph(net, 42), std::nullopt,
                                               Mesh({}, 2), options_of(net, 0, 2, 64));
  ASSERT_GE(plan.layout.buckets.size(), 3u);
  const auto& backward = plan.train.segments[1].instructions;
  const auto first =
      std::ranges::find(backward, core::InstructionKind::kCollective, &core::Instruction::kind);
  const auto kernels_after = std::count_if(first, backward.end(), [](const auto& instruction) {
    return instruction.kind == core::InstructionKind::kKernel;
  });
  EXPECT_GE(kernels_after, 2);
  EXPECT_EQ(backward.back().kind, core::InstructionKind::kCollective);
}

// No session has memory for them, no checkpoint holds them.
TEST(PlanTraining, RefusesWhatOutlivesARun) {
  const SmallNet net;
  core::Graph state = test::small_graph(net, 12), kept = state;
  state.state("running", {{4}, core::DType::kF32});
  kept.keep(kept.find("fc1"));
  const auto refusal = [&](const core::Graph& train, const core::Graph& eval) -> std::string {
    try {
      plan_training(train, eval, Mesh({}, 1), options_of(net, 0, 1, 64));
    } catch (const InvalidArgument& error) {
      return error.what();
    }
    return "nothing was thrown";
  };
  const core::Graph plain = test::small_graph(net, 12);
  EXPECT_EQ(refusal(plain, plain), "nothing was thrown");
  EXPECT_EQ(refusal(state, plain),
            "[train] expects a network without states, got 'running': checkpoints hold none in "
            "this version");
  EXPECT_THAT(refusal(plain, kept), ::testing::HasSubstr("got 'fc1': checkpoints hold none"));
}

TEST(DataParallel, OneRankNeedsNoCollective) {
  const SmallNet net;
  const RankScripts scripts =
      scripts_of(plan_training(test::small_graph(net, 12), test::small_graph(net, 12), Mesh({}, 1),
                               options_of(net, 0, 1, 64)));
  EXPECT_TRUE(scripts.train.calls.empty());
  EXPECT_TRUE(scripts.eval->calls.empty());
}

}  // namespace
}  // namespace trireme::parallel

// Of every number of blocks that are computed again: the same bits, in less memory.
#include <gtest/gtest.h>

#include <mutex>

#include "comm/group_transport.h"
#include "parallel/groups.h"
#include "parallel/plan_training.h"
#include "tests/support/ranks.h"
#include "tests/support/stage_nets.h"

namespace trireme::parallel {
namespace {

using test::StageNet;

constexpr int64_t kBatch = 32, kRows = 8;
constexpr int kNever = -2;  // what TrainingOptions::recomputed_blocks is not

core::SessionPlan plan_of(StageNet net, const Mesh& mesh, int rank, int blocks) {
  TrainingOptions options{.rank = rank,
                          .batch = split_batch(kBatch, kRows, mesh.size(Axis::kData)),
                          .optimizer = core::AdamOptions{},
                          .schedule = {.base_lr = 0.01f},
                          .seed = 5,
                          .recompute = blocks != kNever,
                          .recomputed_blocks = blocks};
  return plan_training(test::stage_net(net, kRows), std::nullopt, mesh, options);
}

// Losses, gradients and parameters of two steps, by rank.
std::vector<std::vector<float>> train(StageNet net, int stages, int blocks) {
  std::vector<std::vector<float>> seen(stages);
  testing::run_ranks(stages, [&](comm::Communicator& world) {
    const Mesh mesh({.data = 1, .pipeline = stages}, stages);
    const auto device = core::make_cpu_device(1);
    comm::GroupTransport transport;
    const MeshGroups groups(world, mesh, false);
    groups.add_to(transport);
    core::Session session(*device, transport, plan_of(net, mesh, world.rank(), blocks));
    session.initialize();
    std::vector<float>& mine = seen[world.rank()];
    for (unsigned step = 0; step < 2; ++step) {
      test::NetBatches batches(kBatch, step, 0, kRows);
      mine.push_back(static_cast<float>(session.train_step(batches).sums[0].sum));
      for (const core::FlatParameter& parameter : session.plan().layout.parameters)
        for (float value : session.gradient(parameter.name)) mine.push_back(value);
    }
    for (float value : session.parameters()) mine.push_back(value);
  });
  return seen;
}

TEST(RecomputeBlocks, AnyNumberGivesTheSameBits) {
  for (const StageNet net : {StageNet::kSkips, StageNet::kDense, StageNet::kImages})
    for (const int stages : {1, 2}) {
      const auto kept = train(net, stages, kNever);
      const int all =
          plan_of(net, Mesh({.data = 1, .pipeline = stages}, stages), 0, -1).recomputed_blocks;
      if (stages == 1) {
        ASSERT_GT(all, 1) << "network " << static_cast<int>(net);
      }
      for (int blocks = 0; blocks <= all; ++blocks)
        EXPECT_EQ(train(net, stages, blocks), kept)
            << "network " << static_cast<int>(net) << ", stages " << stages << ", blocks "
            << blocks;
    }
}

TEST(RecomputeBlocks, EachOneMoreKeepsLess) {
  for (const StageNet net : {StageNet::kSkips, StageNet::kDense, StageNet::kImages}) {
    const Mesh one({}, 1);
    const core::SessionPlan kept = plan_of(net, one, 0, kNever);
    int64_t before = kept.train.slot_bytes;
    const int all = plan_of(net, one, 0, -1).blocks;
    for (int blocks = 1; blocks <= all; ++blocks) {
      const core::SessionPlan plan = plan_of(net, one, 0, blocks);
      EXPECT_EQ(plan.blocks, all);
      EXPECT_EQ(plan.recomputed_blocks, blocks);
      EXPECT_LT(plan.train.slot_bytes, before);
      EXPECT_EQ(plan.train.prepared_bytes, kept.train.prepared_bytes);
      before = plan.train.slot_bytes;
    }
  }
}

}  // namespace
}  // namespace trireme::parallel

// A run with f16 operands whose first scale is too large, on one rank and on three: what overflows
// is left out everywhere, the scale comes down everywhere alike, and a run that goes on keeps it.
#include <gtest/gtest.h>

#include "comm/group_transport.h"
#include "parallel/groups.h"
#include "parallel/plan_training.h"
#include "tests/support/ranks.h"
#include "tests/support/small_session.h"

namespace trireme::parallel {
namespace {

using core::Session;
using core::StateBuffer;
using test::SmallBatches;
using test::SmallNet;

constexpr float kTooLarge = core::kMostLossScale;

// What one step left behind.
struct Left {
  float scale = 0;
  bool applied = false;
  std::vector<float> parameters;
};

class Rank {
 public:
  Rank(comm::Communicator& group, int growth_steps) : group_(group) {
    const Mesh mesh({}, group.size());
    TrainingOptions options{.rank = group.rank(),
                            .batch = split_batch(net_.batch, 0, group.size()),
                            .eval_micro_batch = net_.batch / group.size(),
                            .eval_micro_batches = 1,
                            .optimizer = core::AdamOptions{},
                            .schedule = {.base_lr = 0.01f},
                            .seed = 3,
                            .operands = core::DType::kF16,
                            .loss_scaling = {.initial = kTooLarge, .growth_steps = growth_steps}};
    groups_.emplace(group, mesh);
    groups_->add_to(transport_);
    const int64_t rows = options.batch.micro_batch;
    session.emplace(*device_, transport_,
                    plan_training(small_graph(net_, rows), small_graph(net_, rows), mesh, options));
    session->initialize();
  }

  Left step(unsigned number) {
    SmallBatches batches(net_, number, group_.rank(), group_.size());
    const core::PassResult& result = session->train_step(batches);
    return {result.step.loss_scale, result.step.apply != 0, session->parameters()};
  }

 private:
  SmallNet net_;
  comm::Communicator& group_;
  std::unique_ptr<core::Device> device_ = core::make_cpu_device(1, core::HalfProducts::kRounded);
  comm::GroupTransport transport_;
  std::optional<MeshGroups> groups_;

 public:
  std::optional<Session> session;
};

std::vector<Left> train(int ranks, int steps, int growth_steps) {
  std::vector<Left> seen(steps);
  testing::run_ranks(ranks, [&](comm::Communicator& group) {
    Rank rank(group, growth_steps);
    for (int i = 0; i < steps; ++i) {
      const Left left = rank.step(static_cast<unsigned>(i));
      if (group.rank() == ranks - 1) seen[i] = left;
    }
  });
  return seen;
}

TEST(LossScale, OverflowLeavesTheStepOutAndHalvesTheScale) {
  for (int ranks : {1, 3}) {
    const std::vector<Left> seen = train(ranks, 20, 4);
    ASSERT_FALSE(seen[0].applied);
    float scale = kTooLarge;
    int refused = 0, applied_since = 0;
    for (size_t i = 0; i < seen.size(); ++i) {
      applied_since = seen[i].applied ? applied_since + 1 : 0;
      if (!seen[i].applied) scale /= 2;
      if (applied_since == 4) {
        scale *= 2;
        applied_since = 0;
      }
      EXPECT_EQ(seen[i].scale, scale) << "step " << i;
      const bool moved = i == 0 || seen[i].parameters != seen[i - 1].parameters;
      EXPECT_EQ(moved, seen[i].applied || i == 0) << i;
      refused += seen[i].applied ? 0 : 1;
    }
    EXPECT_GE(refused, 4);
    EXPECT_LE(refused, 12);
  }
}

// One rank's gradient overflows where another's may not: all leave the step out.
TEST(LossScale, IsTheSameOnEveryRankAtEveryStep) {
  std::vector<std::vector<float>> scales(3);
  testing::run_ranks(3, [&](comm::Communicator& group) {
    Rank rank(group, 3);
    for (unsigned i = 0; i < 20; ++i) scales[group.rank()].push_back(rank.step(i).scale);
  });
  EXPECT_EQ(scales[1], scales[0]);
  EXPECT_EQ(scales[2], scales[0]);
}

TEST(LossScale, ARunThatGoesOnKeepsIt) {
  testing::run_ranks(1, [](comm::Communicator& group) {
    Rank whole(group, 5), again(group, 5);
    unsigned done = 0;
    while (whole.session->counters().good_steps < 2 && done < 40) whole.step(done++);
    const core::StepCounters counters = whole.session->counters();
    EXPECT_LT(counters.loss_scale, kTooLarge);
    EXPECT_EQ(counters.good_steps, 2);
    const int64_t elements = whole.session->plan().layout.total_elements;
    for (auto buffer : {StateBuffer::kParameters, StateBuffer::kMoment1, StateBuffer::kMoment2}) {
      std::vector<float> values(elements);
      const core::StateRange range{buffer, 0, elements};
      whole.session->read_state(std::span(&range, 1), values.data());
      again.session->write_state(range, values);
    }
    again.session->set_counters(counters);
    EXPECT_EQ(again.session->counters(), counters);
    for (unsigned i = done; i < done + 11; ++i) {
      const Left want = whole.step(i), got = again.step(i);
      EXPECT_EQ(got.scale, want.scale) << i;
      EXPECT_EQ(got.parameters, want.parameters) << i;
    }
  });
}

}  // namespace
}  // namespace trireme::parallel

// What is watched while training goes on: evaluations, deadlines, replicas, agreement.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "launcher/base/agreement.h"
#include "launcher/train/deadline_clock.h"
#include "launcher/train/judge.h"
#include "launcher/train/replica_check.h"
#include "tests/support/ranks.h"
#include "tests/support/small_session.h"

namespace trireme::launcher {
namespace {

using std::chrono::milliseconds;
using testing::run_ranks;

EvalRecord judged(int64_t step, double loss, double accuracy = 0) {
  return {.step = step, .loss = loss, .metrics = {{"accuracy", accuracy}}};
}

TEST(EarlyStop, WaitsForPatienceEvaluationsWithoutImprovement) {
  EarlyStop stop({.patience = 2}, {});
  EXPECT_FALSE(stop.patience_ends(judged(1, 3.0)));
  EXPECT_FALSE(stop.patience_ends(judged(2, 3.0)));  // the first without improvement
  EXPECT_FALSE(stop.patience_ends(judged(3, 2.9)));
  EXPECT_FALSE(stop.patience_ends(judged(4, 2.95)));
  EXPECT_EQ(stop.best().step, 3);
  EXPECT_TRUE(stop.patience_ends(judged(5, std::nan(""))));
}

TEST(EarlyStop, GoesOnFromWhereItWas) {
  EarlyStop stop({.patience = 2}, {.value = 1.0, .step = 7, .evaluations_since = 1});
  EXPECT_TRUE(stop.patience_ends(judged(8, 1.0)));
}

TEST(EarlyStop, JudgesMetricsByTheLargest) {
  EarlyStop stop({.metric = "accuracy", .patience = 1, .min_delta = 0.01}, {});
  EXPECT_FALSE(stop.patience_ends(judged(1, 9, 0.5)));
  EXPECT_FALSE(stop.patience_ends(judged(2, 9, 0.52)));
  EXPECT_TRUE(stop.patience_ends(judged(3, 0, 0.525)));
}

TEST(DeadlineClock, FollowsTheMedianStep) {
  DeadlineClock clock({});
  EXPECT_EQ(clock.deadlines().step, milliseconds(60'000));
  EXPECT_TRUE(clock.step_took(20));
  EXPECT_EQ(clock.deadlines().step, milliseconds(200'000));
  EXPECT_EQ(clock.deadlines().data, milliseconds(200'000));
  for (int i = 0; i < 100; ++i) clock.step_took(i % 10 == 0 ? 500 : 7);
  EXPECT_EQ(clock.deadlines().step, milliseconds(70'000));
}

TEST(DeadlineClock, TakesWhatTheJobSays) {
  DeadlineClock clock({.first_step_seconds = 2, .step_seconds = 1.5, .data_seconds = 0.25});
  clock.step_took(100);
  const comm::Deadlines deadlines = clock.deadlines();
  EXPECT_EQ(deadlines.first_step, milliseconds(2000));
  EXPECT_EQ(deadlines.step, milliseconds(1500));
  EXPECT_EQ(deadlines.data, milliseconds(250));
  EXPECT_EQ(deadlines.eval, milliseconds(1500));
}

std::string differing(const std::vector<StateHash>& hashes) {
  std::vector<int> ranks(hashes.size());
  std::iota(ranks.begin(), ranks.end(), 0);
  return differing_ranks(hashes, ranks);
}

TEST(Replicas, NamesTheMinority) {
  const StateHash a{1, 2}, b{1, 3}, c{4, 5};
  EXPECT_EQ(differing({a}), "");
  EXPECT_EQ(differing({a, a, a}), "");
  EXPECT_EQ(differing({a, b, a}), "rank 1 differs from the 2 others");
  EXPECT_EQ(differing({b, a, c, a, a}), "ranks 0, 2 differ from the 3 others");
  EXPECT_EQ(differing_ranks(std::vector{a, c, a}, std::vector{1, 3, 5}),
            "rank 3 differs from the 2 others");
  EXPECT_THAT(differing({a, b}), ::testing::HasSubstr("no state is that of most"));
}

struct SmallSession {
  SmallSession() : device(core::make_cpu_device(1)), session(*device, transport, averaged_plan()) {
    session.initialize();
  }
  static core::SessionPlan averaged_plan() {
    core::SessionPlan plan =
        test::small_plan({.optimizer = core::AdamOptions{}}, core::DeviceKind::kCpu);
    plan.average.emplace();
    return plan;
  }
  void flip(core::StateBuffer buffer, int64_t element) {
    const core::StateRange range{buffer, element, 1};
    float value = 0;
    session.read_state(std::span(&range, 1), &value);
    value = std::nextafter(value, 1.0f);
    session.write_state(range, std::span(&value, 1));
  }
  std::unique_ptr<core::Device> device;
  test::NoTransport transport;
  core::Session session;
};

TEST(Replicas, OneBitOfOneMomentIsFound) {
  for (auto buffer :
       {core::StateBuffer::kParameters, core::StateBuffer::kMoment2, core::StateBuffer::kAverage})
    run_ranks(3, [&](comm::Communicator& group) {
      SmallSession rank;
      check_replicas(group, parallel::Mesh({}, group.size()), rank.session, 1);
      if (group.rank() == 2) rank.flip(buffer, 40);
      try {
        check_replicas(group, parallel::Mesh({}, group.size()), rank.session, 2);
        ADD_FAILURE() << "nothing was found";
      } catch (const AgreedFailure& error) {
        EXPECT_EQ(group.rank(), 0);
        EXPECT_EQ(error.code(), ExitCode::kDiverged);
        EXPECT_THAT(error.what(), ::testing::HasSubstr("step 2: "));
        EXPECT_THAT(error.what(), ::testing::HasSubstr("rank 2 differs"));
      } catch (const PeerFailed& error) {
        EXPECT_NE(group.rank(), 0);
        EXPECT_EQ(error.code(), ExitCode::kDiverged);
      }
    });
}

TEST(Agreement, AllLearnWhatTheLowestFailedRankSays) {
  run_ranks(4, [](comm::Communicator& group) {
    EXPECT_FALSE(try_together(group, [] {}));
    const auto failure = try_together(group, [&] {
      if (group.rank() % 2 == 1)
        throw InvalidArgument(fmt::format("rank {} speaks", group.rank()), ExitCode::kBadData);
    });
    if (!failure) throw std::runtime_error("no failure was seen");
    EXPECT_EQ(failure->rank, 1);
    EXPECT_EQ(failure->message, "rank 1 speaks");
    EXPECT_EQ(failure->code, ExitCode::kBadData);
    EXPECT_EQ(broadcast_text(group, group.rank() == 3 ? "" : "other", 3), "");
  });
}

}  // namespace
}  // namespace trireme::launcher

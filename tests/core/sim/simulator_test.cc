#include "core/sim/simulator.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace trireme::core {
namespace {

using Kind = SimTask::Kind;
constexpr uint8_t kMain = 0, kComm = 1, kOther = 2;

SimTask compute(double seconds, uint16_t waits = 0) {
  return {.stream = kMain, .waits = waits, .seconds = seconds};
}
SimTask collective(int group, double seconds, uint8_t stream = kComm) {
  return {.kind = Kind::kCollective,
          .stream = stream,
          .waits = stream_bit(kMain),
          .group = group,
          .seconds = seconds};
}
SimTask message(Kind kind, int peer, double seconds, uint8_t stream) {
  return {.kind = kind,
          .stream = stream,
          .waits = stream_bit(kMain),
          .group = 0,
          .peer = peer,
          .seconds = seconds};
}
SimTask join(uint8_t stream) { return compute(0, stream_bit(stream)); }

TEST(Simulator, StreamsRunSideBySideAndTasksOfAStreamInTurn) {
  const SimWorld world{.ranks = {{compute(2), collective(0, 5), compute(1), compute(1),
                                  collective(0, 1), join(kComm), compute(3)}},
                       .groups = {{0}}};
  const SimResult result = simulate(world);
  ASSERT_FALSE(result.deadlock);
  EXPECT_DOUBLE_EQ(result.spans[0][1].begin, 2);
  EXPECT_DOUBLE_EQ(result.spans[0][4].begin, 7);  // behind the first, though compute was done at 4
  EXPECT_DOUBLE_EQ(result.spans[0][6].begin, 8);
  EXPECT_DOUBLE_EQ(result.seconds, 11);
  EXPECT_DOUBLE_EQ(result.ranks[0].busy, 7);
  EXPECT_DOUBLE_EQ(result.ranks[0].communication, 6);
  EXPECT_DOUBLE_EQ(result.ranks[0].exposed, 4);
  EXPECT_DOUBLE_EQ(result.ranks[0].overlap(), 1 - 4.0 / 6);
}

// n buckets of c seconds each, one ready every b seconds of backward. While c <= b all but the last
// hide; else the first b is all that hides.
TEST(Simulator, OverlapOfBucketsIsTheFormula) {
  for (int n : {1, 2, 7})
    for (double b : {1.0, 3.0})
      for (double c : {0.5, 1.0, 2.0, 5.0}) {
        SimWorld world{.ranks = {{}, {}}, .groups = {{0, 1}}};
        for (auto& tasks : world.ranks) {
          for (int i = 0; i < n; ++i) {
            tasks.push_back(compute(b));
            tasks.push_back(collective(0, c));
          }
          tasks.push_back(join(kComm));
        }
        const SimRankTimes times = simulate(world).ranks[1];
        const double exposed = c <= b ? c : n * c - (n - 1) * b;
        EXPECT_NEAR(times.exposed, exposed, 1e-12);
        EXPECT_NEAR(times.overlap(), 1 - exposed / (n * c), 1e-12);
        EXPECT_NEAR(times.idle, 0, 1e-12);
      }
}

// Waiting for a slow rank is idle time; only the transfer itself is exposed communication.
TEST(Simulator, CollectiveBeginsWithItsLastMember) {
  const SimWorld world{.ranks = {{compute(1), collective(0, 2), join(kComm)},
                                 {compute(4), collective(0, 3), join(kComm), compute(1)}},
                       .groups = {{0, 1}}};
  const SimResult result = simulate(world);
  EXPECT_DOUBLE_EQ(result.seconds, 8);
  EXPECT_DOUBLE_EQ(result.ranks[0].idle, 3 + 1);
  EXPECT_DOUBLE_EQ(result.ranks[0].exposed, 3);
  EXPECT_DOUBLE_EQ(result.ranks[1].idle, 0);
}

TEST(Simulator, MessagesMeetInOrder) {
  const SimWorld world{.ranks = {{compute(1), message(Kind::kSend, 1, 2, kComm), compute(1),
                                  message(Kind::kSend, 1, 2, kComm)},
                                 {message(Kind::kRecv, 0, 2, kComm), join(kComm), compute(5),
                                  message(Kind::kRecv, 0, 2, kComm), join(kComm), compute(1)}},
                       .groups = {{0, 1}}};
  const SimResult result = simulate(world);
  ASSERT_FALSE(result.deadlock);
  EXPECT_DOUBLE_EQ(result.spans[0][3].begin, 8);  // rendezvous: not before the receive is there
  EXPECT_DOUBLE_EQ(result.seconds, 11);
  EXPECT_DOUBLE_EQ(result.ranks[1].idle, 1);
  EXPECT_DOUBLE_EQ(result.ranks[1].exposed, 4);
}

TEST(Simulator, TwoSendsThatWaitForEachOtherAreADeadlock) {
  SimWorld world{.ranks = {{message(Kind::kSend, 1, 1, kComm), message(Kind::kRecv, 1, 1, kComm)},
                           {message(Kind::kSend, 0, 1, kComm), message(Kind::kRecv, 0, 1, kComm)}},
                 .groups = {{0, 1}}};
  const SimResult stuck = simulate(world);
  ASSERT_TRUE(stuck.deadlock);
  EXPECT_EQ(stuck.deadlock->absent_rank, -1);
  ASSERT_EQ(stuck.deadlock->chain.size(), 2u);
  EXPECT_EQ(stuck.deadlock->chain[0].task, 0);
  EXPECT_EQ(stuck.deadlock->chain[1].task, 0);

  for (auto& tasks : world.ranks) tasks[1].stream = kOther;  // receives on a stream of their own
  EXPECT_FALSE(simulate(world).deadlock);
}

TEST(Simulator, CollectivesInDifferentOrderAreADeadlock) {
  const auto pair = [](int first, int second) {
    return std::vector{collective(first, 1), collective(second, 1)};
  };
  const SimWorld world{.ranks = {pair(0, 1), pair(1, 0)}, .groups = {{0, 1}, {0, 1}}};
  const SimResult result = simulate(world);
  ASSERT_TRUE(result.deadlock);
  EXPECT_EQ(result.deadlock->chain.size(), 2u);
}

TEST(Simulator, ACallThatAMemberNeverMakesIsNamed) {
  const SimWorld world{
      .ranks = {{collective(0, 1), collective(0, 1), join(kComm)}, {collective(0, 1)}},
      .groups = {{0, 1}}};
  const SimResult result = simulate(world);
  ASSERT_TRUE(result.deadlock);
  EXPECT_EQ(result.deadlock->absent_rank, 1);
  EXPECT_EQ(result.deadlock->chain.back().rank, 0);
  EXPECT_EQ(result.deadlock->chain.back().task, 1);
}

// Calls of one group on two streams begin in the order of issue, on every rank.
TEST(Simulator, CallsOfAGroupKeepTheirOrderAcrossStreams) {
  const auto tasks = [](double first) {
    std::vector<SimTask> tasks{compute(first), collective(0, 2, kComm), collective(0, 3, kOther)};
    tasks[2].waits = 0;  // could begin at once
    return tasks;
  };
  const SimWorld world{.ranks = {tasks(4), tasks(1)}, .groups = {{0, 1}}};
  const SimResult result = simulate(world);
  ASSERT_FALSE(result.deadlock);
  EXPECT_DOUBLE_EQ(result.spans[1][1].begin, 4);
  EXPECT_DOUBLE_EQ(result.spans[1][2].begin, 4);
  EXPECT_DOUBLE_EQ(result.seconds, 7);
}

}  // namespace
}  // namespace trireme::core

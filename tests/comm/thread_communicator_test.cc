#include "comm/thread_communicator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>

#include "comm/self_communicator.h"
#include "core/base/error.h"
#include "tests/comm/suite.h"
#include "tests/support/ranks.h"

namespace trireme::comm {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;
using trireme::testing::run_ranks;

class ThreadSuite : public ::testing::TestWithParam<std::tuple<SuiteCase, int>> {};

TEST_P(ThreadSuite, Passes) {
  const auto& [test_case, ranks] = GetParam();
  run_ranks(ranks, test_case.run);
}

INSTANTIATE_TEST_SUITE_P(Ranks, ThreadSuite,
                         ::testing::Combine(::testing::ValuesIn(suite()),
                                            ::testing::Values(1, 2, 3, 7)),
                         [](const auto& info) {
                           return std::string(std::get<0>(info.param).name) + "_" +
                                  std::to_string(std::get<1>(info.param));
                         });

class SelfSuite : public ::testing::TestWithParam<SuiteCase> {};

TEST_P(SelfSuite, Passes) {
  SelfCommunicator self;
  GetParam().run(self);
}

INSTANTIATE_TEST_SUITE_P(One, SelfSuite, ::testing::ValuesIn(suite()),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(ThreadCommunicator, RankThatThrowsEndsTheOthers) {
  std::atomic<int> ended{0};
  const auto start = std::chrono::steady_clock::now();
  const auto run = [&] {
    run_ranks(3, [&](Communicator& comm) {
      std::vector<float> values(1000, 1.0f);
      if (comm.rank() == 1) {
        comm.all_reduce(std::span(values), ReduceOp::kSum);
        throw std::runtime_error("rank 1 breaks");
      }
      try {
        // Rank 1 may break before this rank has seen the end of the first.
        comm.all_reduce(std::span(values), ReduceOp::kSum);
        comm.all_reduce(std::span(values), ReduceOp::kSum);
      } catch (const SystemError& error) {
        EXPECT_THAT(error.what(), HasSubstr("rank 1: rank 1 breaks"));
        // The failure is kept: the next call throws at once.
        EXPECT_THROW(comm.all_reduce(std::span(values), ReduceOp::kSum), SystemError);
        EXPECT_THROW(comm.check(), SystemError);
        ended.fetch_add(1);
        throw;
      }
    });
  };
  EXPECT_THAT(run, ThrowsMessage<std::runtime_error>("rank 1 breaks"));
  EXPECT_EQ(ended.load(), 2);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
}

TEST(ThreadCommunicator, FailureReachesOtherGroupsAndQueuedCalls) {
  const auto run = [] {
    run_ranks(3, [](Communicator& comm) {
      const auto group = comm.split(0, comm.rank());
      std::vector<double> values(10);
      core::CpuStream stream;
      if (comm.rank() == 2) throw std::runtime_error("rank 2 breaks");
      group->all_reduce(std::span(values), ReduceOp::kSum, core::stream_of(stream));
      group->all_reduce(std::span(values), ReduceOp::kSum, core::stream_of(stream));
      EXPECT_THROW(core::wait_for(stream, 1), SystemError);
      EXPECT_THROW(core::wait_for(stream, 2), SystemError);
    });
  };
  EXPECT_THAT(run, ThrowsMessage<std::runtime_error>("rank 2 breaks"));
}

TEST(ThreadCommunicator, RankThatLeavesEarlyEndsTheOthers) {
  const auto run = [] {
    run_ranks(3, [](Communicator& comm) {
      int64_t x = 1;
      if (comm.rank() != 0) comm.all_reduce(std::span(&x, 1), ReduceOp::kSum, {}, "loss");
    });
  };
  EXPECT_THAT(run, ThrowsMessage<SystemError>(HasSubstr("rank 0 has left; all_reduce 'loss'")));
}

TEST(ThreadCommunicator, ReceiverThatLeavesEndsTheSender) {
  const auto run = [] {
    run_ranks(2, [](Communicator& comm) {
      const int64_t x = 1;
      if (comm.rank() == 0) comm.send(std::span(&x, 1), 1);
    });
  };
  EXPECT_THAT(run, ThrowsMessage<SystemError>(HasSubstr("rank 1 has left")));
}

TEST(ThreadCommunicator, DifferentCallsAreAnError) {
  const auto run = [] {
    run_ranks(2, [](Communicator& comm) {
      std::vector<float> values(8);
      comm.all_reduce(std::span(values.data(), 4 + comm.rank()), ReduceOp::kSum);
    });
  };
  EXPECT_THAT(run, ThrowsMessage<SystemError>(HasSubstr("ranks disagree")));
}

TEST(ThreadCommunicator, DestroyedWithCallsInFlightIsAnError) {
  const auto run = [] {
    run_ranks(2, [](Communicator& comm) {
      static std::array<int64_t, 2> values;  // outlives the call that is never finished
      static std::array<core::CpuStream, 2> streams;
      const int me = comm.rank();
      {
        const auto group = comm.split(0, me);
        if (me == 0)
          group->all_reduce(std::span(&values[me], 1), ReduceOp::kSum,
                            core::stream_of(streams[me]));
      }
      if (me == 0) comm.check();
      barrier(comm);
    });
  };
  EXPECT_THROW(run(), SystemError);
}

}  // namespace
}  // namespace trireme::comm

#include "launcher/checkpoint/saver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "core/base/error.h"
#include "launcher/base/agreement.h"
#include "launcher/checkpoint/state.h"
#include "tests/support/ranks.h"
#include "tests/support/scratch_folder.h"
#include "tests/support/small_session.h"

namespace trireme::launcher {
namespace {

using test::SmallBatches;
using test::SmallNet;
using testing::run_ranks;

const SmallNet kNet{.optimizer = core::AdamOptions{}};

// One rank with the state that every rank has after `steps` steps, and its saver.
struct Saving {
  Saving(comm::Communicator& group, const std::filesystem::path& folder, SaverOptions options = {})
      : group(group),
        device(core::make_cpu_device(1)),
        session(*device, transport, test::small_plan(kNet, core::DeviceKind::kCpu)),
        saver(group, session, *device, CheckpointStore(folder), {.seed = 3}, std::move(options),
              {}) {
    session.initialize();
  }

  void step() {
    SmallBatches batches(kNet, steps++);
    session.train_step(batches, saver.votes());
    core::Votes votes = saver.votes();
    group.all_reduce(&votes, &votes, core::kVotes, core::DType::kF64, core::ReduceOp::kSum, {});
    saver.advance(votes);
  }
  void save() { saver.begin({.attempted_steps = steps, .applied_steps = steps}); }
  void poison(const std::string& name) {
    std::vector<float> values = session.parameter(name);
    values.back() = std::nanf("");
    session.set_parameter(name, values);
  }

  comm::Communicator& group;
  std::unique_ptr<core::Device> device;
  test::NoTransport transport;
  core::Session session;
  Saver saver;
  unsigned steps = 0;
};

std::vector<int64_t> steps_in(const std::filesystem::path& folder) {
  std::vector<int64_t> steps;
  for (const auto& entry : CheckpointStore(folder).list()) steps.push_back(entry.step);
  return steps;
}

TEST(Saver, AnyNumberOfRanksWritesWhatAnyReads) {
  for (int ranks : {1, 2, 3, 7}) {
    ScratchFolder scratch;
    std::vector<float> saved;
    run_ranks(ranks, [&](comm::Communicator& group) {
      Saving rank(group, scratch.path());
      rank.step();
      rank.step();
      rank.save();
      if (group.rank() == 0) saved = rank.session.parameters();
      rank.step();  // the copy is taken: this changes nothing that is saved
      EXPECT_TRUE(rank.saver.finish());
    });
    ASSERT_EQ(steps_in(scratch.path()), std::vector<int64_t>{2}) << ranks;
    run_ranks(1, [&](comm::Communicator& group) {
      Saving other(group, scratch / "other");
      CheckpointReader reader(scratch / "step-00000002");
      EXPECT_EQ(std::ssize(reader.manifest().shards), ranks);
      check_same_tensors(reader, state_tensors(other.session.plan()));
      load_state(reader, other.session);
      EXPECT_EQ(other.session.parameters(), saved);
      other.session.set_counters({2, 2, 0});
      other.steps = 2;
      other.step();  // moments too: the next step is that of the run that went on
      Saving unbroken(group, scratch / "unbroken");
      for (int i = 0; i < 3; ++i) unbroken.step();
      EXPECT_EQ(other.session.parameters(), unbroken.session.parameters());
    });
  }
}

TEST(Saver, CommitsWhileStepsGoOn) {
  ScratchFolder scratch;
  run_ranks(3, [&](comm::Communicator& group) {
    int reports = 0;
    Saving rank(group, scratch.path(), {.report = [&](const SaveReport& report) {
                  ++reports;
                  EXPECT_TRUE(report.committed()) << report.failure;
                  EXPECT_EQ(report.step, 1);
                  EXPECT_GT(report.bytes, 0);
                }});
    rank.step();
    rank.save();
    for (int i = 0; i < 2000 && rank.saver.last_committed() < 0; ++i) rank.step();
    EXPECT_EQ(rank.saver.last_committed(), 1);
    EXPECT_EQ(reports, group.rank() == 0 ? 1 : 0);
  });
}

TEST(Saver, OneSaveIsUnderWayAtATime) {
  ScratchFolder scratch;
  run_ranks(2, [&](comm::Communicator& group) {
    Saving rank(group, scratch.path(), {.retention = {.keep_last = 2}});
    for (int i = 0; i < 4; ++i) {
      rank.step();
      rank.save();
    }
    EXPECT_EQ(rank.saver.last_committed(), 3);
    EXPECT_TRUE(rank.saver.finish());
  });
  EXPECT_EQ(steps_in(scratch.path()), (std::vector<int64_t>{4, 3}));
}

TEST(Saver, WhatIsNotFiniteOnOneRankIsCommittedByNone) {
  ScratchFolder scratch;
  std::mutex mutex;
  std::vector<std::string> ends;
  run_ranks(3, [&](comm::Communicator& group) {
    std::vector<std::string> failures;
    Saving rank(group, scratch.path(), {.max_failures = 2, .report = [&](const SaveReport& report) {
                                          failures.push_back(report.failure);
                                        }});
    rank.step();
    rank.save();
    EXPECT_TRUE(rank.saver.finish());
    rank.step();
    rank.poison("fc1/bias");  // which rank writes it is the plan's business
    rank.save();
    EXPECT_FALSE(rank.saver.finish());
    if (group.rank() == 0) {
      EXPECT_THAT(failures, ::testing::ElementsAre("", ::testing::HasSubstr("parameter/fc1/bias")));
    }
    rank.step();
    try {
      rank.save();
      rank.saver.finish();
    } catch (const AgreedFailure& error) {
      const std::lock_guard lock(mutex);
      ends.push_back(error.what());
    } catch (const PeerFailed&) {
      const std::lock_guard lock(mutex);
      ends.push_back("peer");
    }
  });
  EXPECT_EQ(steps_in(scratch.path()), std::vector<int64_t>{1});
  EXPECT_THAT(
      ends, ::testing::UnorderedElementsAre(
                "peer", "peer", ::testing::HasSubstr("2 checkpoints in a row could not be saved")));
  for (const auto& entry : std::filesystem::directory_iterator(scratch.path()))
    EXPECT_EQ(entry.path().filename(), "step-00000001");
}

// A disk that gives back something else than was written: seen before anything older is removed.
TEST(Saver, WhatDoesNotReadBackIsSetAsideAndNothingIsRemoved) {
  ScratchFolder scratch;
  bool damages = false;
  const auto damage = [&] {  // between the flush of the shards and the commit
    for (const auto& entry : std::filesystem::directory_iterator(scratch.path()))
      if (damages && entry.path().filename().string().starts_with(".tmp-"))
        std::fstream(entry.path() / "shard-00001.safetensors",
                     std::ios::in | std::ios::out | std::ios::binary)
            .seekp(-3, std::ios::end)
            .put('?');
    return true;
  };
  std::vector<std::string> failures;
  run_ranks(2, [&](comm::Communicator& group) {
    Saving rank(group, scratch.path(),
                {.retention = {.keep_last = 1},
                 .owns_run = damage,
                 .report = [&](const SaveReport& report) { failures.push_back(report.failure); }});
    for (int i = 0; i < 3; ++i) {
      rank.step();
      if (group.rank() == 0) damages = i == 1;
      rank.save();
      EXPECT_EQ(rank.saver.finish(), i != 1);
      EXPECT_EQ(rank.saver.last_committed(), i < 2 ? 1 : 3);
      if (group.rank() == 0) {
        EXPECT_EQ(steps_in(scratch.path()), std::vector<int64_t>{i < 2 ? 1 : 3});
      }
    }
  });
  EXPECT_THAT(failures, ::testing::ElementsAre(
                            "",
                            ::testing::AllOf(::testing::HasSubstr("shard-00001"),
                                             ::testing::HasSubstr("refused-step-00000002")),
                            ""));
}

TEST(Saver, ALostLockCommitsNothing) {
  ScratchFolder scratch;
  run_ranks(2, [&](comm::Communicator& group) {
    Saving rank(group, scratch.path(), {.wait = true, .owns_run = [] { return false; }});
    rank.step();
    rank.save();
    EXPECT_EQ(rank.saver.last_committed(), -1);
  });
  EXPECT_TRUE(steps_in(scratch.path()).empty());
}

}  // namespace
}  // namespace trireme::launcher

// Programs that are broken on purpose on one rank, found by ranks as threads before step 1.
#include "parallel/check_calls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <mutex>

#include "core/base/error.h"
#include "parallel/plan_training.h"
#include "tests/support/ranks.h"
#include "tests/support/stage_nets.h"

namespace trireme::parallel {
namespace {

using core::Instruction;
using core::InstructionKind;
using core::SessionPlan;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr int64_t kBatch = 48;

SessionPlan plan_of(const Mesh& mesh, int rank, bool eval = true, int64_t batch = kBatch) {
  const int data = mesh.size(Axis::kData);
  TrainingOptions options{.rank = rank,
                          .batch = split_batch(batch, batch / data / 4, data),
                          .eval_micro_batch = batch / data / 4,
                          .eval_micro_batches = 4,
                          .optimizer = core::AdamOptions{},
                          .clip_norm = 0.3f,
                          .bucket_bytes = 2000};
  const int64_t rows = options.batch.micro_batch;
  std::optional<core::Graph> judged;
  if (eval) judged = test::stage_net(test::StageNet::kDense, rows, false);
  return plan_training(test::stage_net(test::StageNet::kDense, rows), std::move(judged), mesh,
                       options);
}

using Break = std::function<void(SessionPlan&)>;

// What the ranks throw, the same on each, if one of them has a broken plan.
std::string verdict(const Layout& layout, int ranks, int broken, const Break& harm) {
  std::mutex mutex;
  std::vector<std::string> texts;
  testing::run_ranks(ranks, [&](comm::Communicator& world) {
    const Mesh mesh(layout, ranks);
    SessionPlan plan = plan_of(mesh, world.rank());
    if (world.rank() == broken) harm(plan);
    std::string text;
    try {
      check_calls(world, mesh, plan);
    } catch (const InvalidArgument& error) {
      text = error.what();
      EXPECT_EQ(error.code(), ExitCode::kUsage);
    }
    const std::scoped_lock lock(mutex);
    texts.push_back(text);
  });
  for (const std::string& text : texts) EXPECT_EQ(text, texts[0]);
  EXPECT_EQ(texts[0].find('\n'), std::string::npos);
  return texts[0];
}

const Layout kDataRanks{.data = 3}, kStages{.data = 1, .pipeline = 3}, kBoth{.pipeline = 2};

// Takes the first instruction that `finds` away.
void drop(core::Program& program, const std::function<bool(const Instruction&)>& finds) {
  for (core::Segment& segment : program.segments) {
    const auto found = std::ranges::find_if(segment.instructions, finds);
    if (found == segment.instructions.end()) continue;
    segment.instructions.erase(found);
    return;
  }
  FAIL() << "no such instruction";
}

TEST(CheckCalls, AcceptsWhatIsWhole) {
  const Break nothing = [](SessionPlan&) {};
  EXPECT_EQ(verdict(kDataRanks, 3, 0, nothing), "");
  EXPECT_EQ(verdict(kStages, 3, 0, nothing), "");
  EXPECT_EQ(verdict(kBoth, 6, 0, nothing), "");
}

TEST(CheckCalls, AnotherSize) {
  const Break harm = [](SessionPlan& plan) { plan.train.collectives[1].count = 77; };
  const std::string text = verdict(kDataRanks, 3, 2, harm);
  EXPECT_THAT(text, AllOf(HasSubstr("[programs] collective 1 of the world group: rank 0 has "),
                          HasSubstr("all_reduce of bucket 1"), HasSubstr("where rank 2 has "),
                          HasSubstr("77 x f32"), HasSubstr("all ranks must run the same job")));
}

TEST(CheckCalls, AnotherType) {
  const Break harm = [](SessionPlan& plan) {
    plan.train.collectives[1].dtype = core::DType::kBF16;
  };
  EXPECT_THAT(verdict(kDataRanks, 3, 0, harm), AllOf(HasSubstr("x bf16"), HasSubstr("x f32")));
}

TEST(CheckCalls, CollectivesInAnotherOrder) {
  const Break harm = [](SessionPlan& plan) {
    std::swap(plan.train.collectives[0], plan.train.collectives[1]);
  };
  EXPECT_THAT(verdict(kDataRanks, 3, 1, harm),
              AllOf(HasSubstr("rank 0 has all_reduce of bucket 0"),
                    HasSubstr("rank 1 has all_reduce of bucket 1")));
}

TEST(CheckCalls, AMissingReceive) {
  const Break harm = [](SessionPlan& plan) {
    drop(plan.train, [&](const Instruction& instruction) {
      return instruction.kind == InstructionKind::kTransfer &&
             plan.train.transfers[instruction.index].receive;
    });
  };
  EXPECT_THAT(verdict(kStages, 3, 1, harm),
              AllOf(HasSubstr("message 0 of the pipeline down group: rank 0 has send of "),
                    HasSubstr("where rank 1 has nothing")));
  // Only one pipeline of three is broken.
  EXPECT_THAT(verdict(kBoth, 6, 4, harm),
              AllOf(HasSubstr("rank 1 has send of "), HasSubstr("rank 4 has nothing")));
}

TEST(CheckCalls, AMessageOfAnotherSize) {
  const Break harm = [](SessionPlan& plan) {
    for (core::Transfer& transfer : plan.train.transfers)
      transfer.value = plan.train.transfers[0].value;
  };
  EXPECT_THAT(verdict(kStages, 3, 1, harm),
              AllOf(HasSubstr("message 0 of the"), HasSubstr(" x f32 (in ")));
}

// The first stage would wait for a gradient of what it has not sent yet.
TEST(CheckCalls, AnOrderThatHangs) {
  const Break harm = [](SessionPlan& plan) {
    auto& schedule = plan.train.schedule;
    const auto forward = schedule[0].segment;
    const auto backward = std::ranges::find_if(
        schedule, [&](const core::ScheduleEntry& entry) { return entry.segment != forward; });
    std::rotate(schedule.begin(), backward, backward + 1);
  };
  EXPECT_THAT(
      verdict(kStages, 3, 0, harm),
      AllOf(HasSubstr("[programs] would hang: rank 0 in recv of"), HasSubstr("waits for rank 1")));
}

TEST(CheckCalls, AnEvaluationThatDiffers) {
  EXPECT_THAT(verdict(kDataRanks, 3, 1, [](SessionPlan& plan) { plan.eval.reset(); }),
              HasSubstr("rank 1 has no evaluation"));
  EXPECT_THAT(verdict(kStages, 3, 2, [](SessionPlan& plan) { plan.eval->schedule.pop_back(); }),
              HasSubstr("where rank 2 has nothing"));
}

// One of a thousand ranks; a second is a hundred times what it takes.
TEST(CheckCalls, AThousandRanks) {
  const Mesh mesh({.data = 256, .pipeline = 4}, 1024);
  std::vector<RankScripts> stages;
  for (int stage = 0; stage < 4; ++stage)
    stages.push_back(scripts_of(plan_of(mesh, stage * 256, true, 1024)));
  std::vector<const RankScripts*> ranks;
  for (int rank = 0; rank < 1024; ++rank) ranks.push_back(&stages[rank / 256]);
  const auto begin = std::chrono::steady_clock::now();
  check_calls(mesh, ranks);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1));

  RankScripts broken = stages[3];
  for (core::ScriptCall& call : broken.train.calls)
    if (call.kind == core::CollectiveKind::kRecv) call.count += 1;
  ranks[1000] = &broken;
  try {
    check_calls(mesh, ranks);
    ADD_FAILURE() << "nothing was found";
  } catch (const InvalidArgument& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("rank 744 has send of"), HasSubstr("rank 1000 has")));
  }
}

TEST(CheckCalls, AnotherMesh) {
  std::mutex mutex;
  std::vector<std::string> texts;
  testing::run_ranks(2, [&](comm::Communicator& world) {
    const Mesh mesh(world.rank() == 0 ? Layout{.data = 2} : Layout{.data = 1, .pipeline = 2}, 2);
    try {
      check_calls(world, mesh, plan_of(mesh, world.rank()));
    } catch (const InvalidArgument& error) {
      const std::scoped_lock lock(mutex);
      texts.push_back(error.what());
    }
  });
  ASSERT_EQ(texts.size(), 2u);
  EXPECT_THAT(texts[0], HasSubstr("rank 1 runs with data 1, rank 0 with 2"));
  EXPECT_EQ(texts[0], texts[1]);
}

}  // namespace
}  // namespace trireme::parallel

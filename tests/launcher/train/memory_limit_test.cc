// train.recompute: AUTO and train.memory_limit_mib: what is chosen, what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <set>

#include "core/base/error.h"
#include "launcher/job/load.h"
#include "launcher/plan/fit.h"
#include "launcher/plan/plan_text.h"

namespace trireme::launcher {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kMebibyte = 1 << 20;

const std::string kGpt = R"(
name: "gpt"
model { gpt { layers: 6 width: 48 heads: 4 context: 64 vocabulary: 61 dropout: 0.1 } }
data { train { tokens { files: "none.bin" } } eval { tokens { files: "none.bin" } } }
train { global_batch: 16 micro_batch: 4 steps: 10 }
optimizer { adamw { lr: 1e-3 } }
)";

const std::string kLenet = R"(
model { lenet5 {} }
data { train { synthetic {} } }
train { global_batch: 256 micro_batch: 128 steps: 10 }
optimizer { adamw { lr: 1e-3 } }
)";

struct Planned {
  JobOptions job;
  DataShapes data;
  RunShape shape;
  models::ModelFactories factories;
  int world = 1;

  core::SessionPlan plan(int rank, int64_t limit) const {  // in bytes, which the job has in MiB
    return plan_session(job, data, shape, rank, core::DeviceKind::kCpu, factories, of(limit));
  }
  MemoryLimit of(int64_t limit) const {
    return memory_limit(limit, job, data, shape, core::DeviceKind::kCpu, factories);
  }
  MemoryUse use(int rank, int64_t limit) const {
    return memory_use(plan(rank, limit), core::DeviceKind::kCpu);
  }
  // By the number of blocks that are computed again.
  std::vector<int64_t> bytes(int rank, int64_t limit) const {
    std::vector<int64_t> bytes;
    for (int blocks = 0, all = 0; blocks <= all; ++blocks) {
      const core::SessionPlan plan = plan_recomputing(blocks, job, data, shape, rank,
                                                      core::DeviceKind::kCpu, factories, of(limit));
      bytes.push_back(memory_use(plan, core::DeviceKind::kCpu).arena_bytes);
      all = plan.blocks;
    }
    return bytes;
  }
  PlanRequest request() const { return {job, data, factories, world, core::find_device("cpu")}; }
};

Planned plan_of(const std::string& text, int world, std::vector<std::string> sets = {}) {
  Planned planned{.job = parse_job(text, "test.txtpb", sets).options,
                  .data = {.train_samples = 1000, .sample = {64}, .classes = 61},
                  .shape = {.mesh = parallel::Mesh({}, 1)},
                  .world = world};
  if (text == kGpt)
    planned.data = {.train_samples = 1000,
                    .eval_samples = 100,
                    .sample = {64},
                    .classes = 61,
                    .sample_type = core::DType::kI32,
                    .labels = {64}};
  else
    planned.data = {.train_samples = 1000, .sample = {28, 28, 1}, .classes = 10};
  planned.shape = shape_run(planned.job, planned.data, world);
  return planned;
}

// Against brute force, at limits between what all blocks need and none.
void expect_fewest(const Planned& planned, int rank) {
  const std::vector<int64_t> without = planned.bytes(rank, 0);
  const int64_t most = without.front(), least = std::ranges::min(without);
  ASSERT_LT(least, most);
  std::set<int> seen;
  for (int step = 0; step <= 12; ++step) {
    const int64_t limit = least + (most - least) * step / 12;
    const std::vector<int64_t> bytes = planned.bytes(rank, limit);  // the limit may move the cut
    const auto fits = std::ranges::find_if(bytes, [&](int64_t b) { return b <= limit; });
    const MemoryUse use = planned.use(rank, limit);
    if (fits == bytes.end()) {
      EXPECT_EQ(use.recomputed_blocks, use.blocks);
      continue;
    }
    EXPECT_LE(use.arena_bytes, limit);
    EXPECT_EQ(use.recomputed_blocks, fits - bytes.begin()) << limit;
    EXPECT_EQ(use.arena_bytes, *fits);
    seen.insert(use.recomputed_blocks);
  }
  EXPECT_GT(seen.size(), 2u);
  EXPECT_TRUE(seen.contains(0));
}

TEST(MemoryLimit, AutoRecomputesTheFewestBlocksThatFit) {
  struct Layout {
    const char* parallel;
    int world;
  };
  for (const auto& [layout, world] : {Layout{"parallel={}", 1},
                                      {"parallel={pipeline:2}", 2},
                                      {"parallel={tensor:2 sequence:true}", 2},
                                      {"parallel={zero:3}", 2},
                                      {"parallel={pipeline:2 pipeline_schedule:INTERLEAVED}", 4}})
    for (int last = 0; last < world; last += std::max(1, world - 1)) {
      const Planned planned = plan_of(kGpt, world, {layout, "train.recompute=AUTO"});
      const int rank = planned.shape.mesh.first_of_stage(last);
      SCOPED_TRACE(::testing::Message() << layout << ", rank " << rank);
      expect_fewest(planned, rank);
    }
}

TEST(MemoryLimit, LayersOfOtherNetworksAreGrouped) {
  const Planned lenet = plan_of(kLenet, 1, {"train.recompute=AUTO"});
  const std::vector<int64_t> bytes = lenet.bytes(0, 0);
  ASSERT_GT(bytes.size(), 1u);
  EXPECT_LT(bytes.back(), bytes.front());
  EXPECT_EQ(lenet.use(0, 0).recomputed_blocks, 0);
  EXPECT_EQ(lenet.use(0, bytes.front() - 1).arena_bytes,
            *std::ranges::find_if(bytes, [&](int64_t b) { return b < bytes.front(); }));
}

TEST(MemoryLimit, RanksOfAStageComputeTheSameAgain) {
  const Planned planned =
      plan_of(kGpt, 4, {"parallel={tensor:2 pipeline:2}", "train.recompute=AUTO"});
  const std::vector<int64_t> bytes = planned.bytes(0, 0);
  const int64_t limit = (bytes.front() + bytes.back()) / 2;
  EXPECT_EQ(planned.use(0, limit).recomputed_blocks, planned.use(1, limit).recomputed_blocks);
  EXPECT_LE(planned.use(1, limit).arena_bytes, planned.use(0, limit).arena_bytes);
}

std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const InvalidArgument& error) {
    EXPECT_EQ(error.code(), ExitCode::kUsage);
    return error.what();
  }
  return "nothing was thrown";
}

std::string refusal(const Planned& planned) {
  return message_of([&] { check_memory(make_run_plan(planned.request()), planned.request()); });
}

TEST(MemoryLimit, WhatDoesNotFitIsRefusedWithWhatWould) {
  const std::string at = "train.memory_limit_mib=";
  for (const char* recompute : {"train.recompute=NONE", "train.recompute=FULL"}) {
    EXPECT_EQ(refusal(plan_of(kGpt, 2, {recompute, at + "500"})), "nothing was thrown");
    EXPECT_THAT(refusal(plan_of(kGpt, 2, {recompute, at + "4"})),
                HasSubstr("--set train.memory_limit_mib=4: train.memory_limit_mib (4), but a rank "
                          "of stage 0 needs "));
  }
  EXPECT_THAT(refusal(plan_of(kGpt, 2, {at + "12"})), HasSubstr("would fit"));
  const std::string never = refusal(plan_of(kGpt, 1, {"train.recompute=AUTO", at + "1"}));
  EXPECT_THAT(never, HasSubstr(" with all 6 blocks computed again, "));
  EXPECT_THAT(never, HasSubstr(" too much ("));
  EXPECT_EQ(never.find('\n'), std::string::npos);
}

TEST(MemoryLimit, OneRanksProgramsAreJudgedAlike) {
  const Planned planned = plan_of(kGpt, 1, {"train.memory_limit_mib=4"});
  EXPECT_EQ(message_of([&] { check_memory(planned.plan(0, 4 * kMebibyte), 0, planned.request()); }),
            refusal(planned));
}

TEST(MemoryLimit, FullIsRefusedWhereNothingIsGained) {
  const Planned mlp = plan_of(R"(
model { mlp { hidden: [128] } }
data { train { synthetic {} } }
train { global_batch: 8 steps: 10 recompute: FULL }
optimizer { sgd { lr: 1 } })",
                              1);
  EXPECT_EQ(message_of([&] { mlp.plan(0, 0); }),
            "test.txtpb:4:35: train.recompute (FULL): computing layers of this network again would "
            "save no memory; leave it NONE");
}

TEST(MemoryLimit, IsStatedInThePlan) {
  const Planned planned = plan_of(kGpt, 1, {"train.recompute=AUTO", "train.memory_limit_mib=6"});
  const RunPlan plan = make_run_plan(planned.request());
  EXPECT_THAT(plan_text(plan, planned.job), HasSubstr("  stage 0             recomputes "));
  EXPECT_THAT(plan_text(plan, planned.job), HasSubstr(" of 6.0 MiB\n"));
}

}  // namespace
}  // namespace trireme::launcher

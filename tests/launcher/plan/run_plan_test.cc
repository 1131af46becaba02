#include "launcher/plan/run_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/base/error.h"
#include "launcher/job/load.h"
#include "launcher/plan/device_file.h"
#include "launcher/plan/fit.h"
#include "launcher/plan/plan_text.h"
#include "tests/support/small_session.h"

namespace trireme::launcher {
namespace {

using ::testing::HasSubstr;

const std::string kMlp = R"(
name: "mlp"
model { mlp { hidden: [96, 64] } }
data { train { synthetic { samples: 512 } } eval { synthetic { samples: 100 first_sample: 512 } } }
train { global_batch: 64 micro_batch: 8 epochs: 1 }
optimizer { adamw { lr: 1e-3 } }
)";

struct Planned {
  JobOptions job;
  DataShapes data;
  models::ModelFactories factories;
  core::DeviceModel device;
  int world = 1;

  PlanRequest request() const { return {job, data, factories, world, device}; }
  RunPlan run() const { return make_run_plan(request()); }
};

Planned plan_of(const std::string& text, int world, const std::vector<std::string>& sets = {},
                const char* device = "h100") {
  Planned planned{.job = parse_job(text, "test.txtpb", sets).options,
                  .device = core::find_device(device),
                  .world = world};
  planned.data = inspect_data(planned.job.data, {});
  return planned;
}

std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const InvalidArgument& error) {
    return error.what();
  }
  return "nothing was thrown";
}

// The ledger is what a session allocates, to the byte.
TEST(RunPlan, LedgerIsWhatASessionAllocates) {
  for (const char* sets : {"train.micro_batch=8", "train.micro_batch=64", "model.lenet5={}"}) {
    const bool lenet = std::string(sets).starts_with("model");
    std::string text = kMlp;
    if (lenet) text.replace(text.find("mlp { hidden: [96, 64] }"), 24, "lenet5 {}");
    const Planned planned = plan_of(
        text, 1, lenet ? std::vector<std::string>{} : std::vector<std::string>{sets}, "cpu");
    const RunPlan plan = planned.run();
    const auto device = core::make_cpu_device(1);
    test::NoTransport transport;
    const core::Session session(*device, transport,
                                plan_session(planned.job, planned.data, plan.shape, 0,
                                             core::DeviceKind::kCpu, planned.factories));
    EXPECT_EQ(plan.classes.at(0).memory.total(), session.arena_bytes()) << sets;
    EXPECT_EQ(plan.rank_bytes(),
              plan.classes[0].memory.total() + plan.classes[0].host.total());  // a CPU
  }
}

// A stage with several micro-batches under way keeps copies of their batches, on a CPU too.
TEST(RunPlan, LedgerIsWhatTheSessionOfAStageAllocates) {
  const Planned planned = plan_of(kMlp, 2, {"parallel.pipeline=2"}, "cpu");
  const RunPlan plan = planned.run();
  ASSERT_EQ(plan.classes.size(), 2u);
  EXPECT_GT(plan.classes[0].plan.train.input_sets, 1);
  for (int stage = 0; stage < 2; ++stage) {
    const auto device = core::make_cpu_device(1);
    test::NoTransport transport;
    const core::Session session(*device, transport,
                                plan_session(planned.job, planned.data, plan.shape, stage,
                                             core::DeviceKind::kCpu, planned.factories));
    EXPECT_EQ(plan.classes[stage].memory.total(), session.arena_bytes()) << stage;
  }
}

TEST(RunPlan, DataParallelStepIsComputingAndWhatTheLastBucketExposes) {
  const RunPlan one = plan_of(kMlp, 1).run(), four = plan_of(kMlp, 4).run();
  EXPECT_EQ(one.classes.size(), 1u);
  EXPECT_EQ(four.classes.size(), 1u);
  EXPECT_EQ(one.parameters, 784 * 96 + 96 + 96 * 64 + 64 + 64 * 10 + 10);
  EXPECT_EQ(one.step_flops, four.step_flops);
  EXPECT_TRUE(one.classes[0].calls.empty());
  EXPECT_DOUBLE_EQ(one.classes[0].times.busy, one.step_seconds);

  const RankClass& rank = four.classes[0];
  ASSERT_EQ(rank.calls.size(), 2u);  // the control vector and the buckets
  EXPECT_EQ(rank.calls[1].group, "data");
  EXPECT_EQ(rank.calls[1].bytes, rank.memory.lines[1].bytes);  // all gradients once
  EXPECT_GT(rank.times.exposed, 0);
  EXPECT_NEAR(rank.times.busy + rank.times.exposed + rank.times.idle, four.step_seconds, 1e-12);
  EXPECT_NEAR(four.mfu(), static_cast<double>(four.step_flops) / (4 * 66.9e12 * four.step_seconds),
              1e-9);
}

TEST(RunPlan, ZeroDividesTheState) {
  const RunPlan all = plan_of(kMlp, 4).run(), cut = plan_of(kMlp, 4, {"parallel.zero=1"}).run();
  const auto line = [](const RunPlan& plan, const std::string& what) {
    for (const LedgerLine& line : plan.classes[0].memory.lines)
      if (line.what == what) return line.bytes;
    return int64_t{-1};
  };
  EXPECT_EQ(line(all, "moments"), 4 * line(cut, "moments"));
  EXPECT_EQ(line(all, "parameters"), line(cut, "parameters"));
}

TEST(RunPlan, SaysWhatWouldFit) {
  Planned planned = plan_of(kMlp, 4, {"train.micro_batch=16"});
  planned.device.outside_bytes = 0;
  const int64_t needs = planned.run().rank_bytes();
  EXPECT_EQ(message_of([&] { check_memory(planned.run(), planned.request()); }),
            "nothing was thrown");
  planned.device.memory_bytes = needs;
  EXPECT_EQ(message_of([&] { check_memory(planned.run(), planned.request()); }),
            "nothing was thrown");
  planned.device.memory_bytes = needs - 1;
  EXPECT_THAT(message_of([&] { check_memory(planned.run(), planned.request()); }),
              testing::AllOf(HasSubstr("train.micro_batch: 8 ("), HasSubstr(" would fit")));
  planned.device.memory_bytes = 1000;
  EXPECT_THAT(message_of([&] { check_memory(planned.run(), planned.request()); }),
              HasSubstr("no single change of micro_batch, recompute, zero, tensor or "
                        "pipeline fits, up to 32 ranks"));
}

// A limit just below what the job needs, and where smaller changes do not help.
TEST(RunPlan, NamesTheLeastChangeThatFits) {
  const auto fix = [](int world, const std::vector<std::string>& sets,
                      const std::vector<std::string>& fitting) {
    Planned planned = plan_of(kMlp, world, sets);
    planned.device.outside_bytes = 0;
    std::vector<std::string> all = sets;
    all.insert(all.end(), fitting.begin(), fitting.end());
    Planned smaller = plan_of(kMlp, world, all);
    smaller.device.outside_bytes = 0;
    planned.device.memory_bytes = smaller.run().rank_bytes();
    EXPECT_LT(planned.device.memory_bytes, planned.run().rank_bytes());
    return message_of([&] { check_memory(planned.run(), planned.request()); });
  };
  const std::vector<std::string> one{"train.micro_batch=1"};
  EXPECT_THAT(fix(4, one, {"parallel.zero=1"}), HasSubstr("; parallel.zero: 1 ("));
  EXPECT_THAT(fix(2, {"train.micro_batch=1", "parallel.zero=3"}, {"parallel.tensor=2"}),
              HasSubstr("; parallel.tensor: 2 ("));
}

// How many stashes a stage holds is the schedule's to say.
TEST(RunPlan, ActivationsAreTheStashesOfTheSchedule) {
  for (const auto& [schedule, stashes] : {std::pair{"ONE_F_ONE_B", std::array{3, 2, 1}},
                                          {"GPIPE", {8, 8, 8}},
                                          {"ZERO_BUBBLE", {3, 3, 3}}}) {
    const RunPlan plan =
        plan_of(kMlp, 3,
                {"parallel.pipeline=3", fmt::format("parallel.pipeline_schedule={}", schedule)})
            .run();
    ASSERT_EQ(plan.classes.size(), 3u);
    for (int stage = 0; stage < 3; ++stage)
      EXPECT_EQ(plan.classes[stage].plan.train.slots, stashes[stage]) << schedule << " " << stage;
  }
}

// Exchanges of the tensor axis as tasks of their own, or as parts of computing.
TEST(RunPlan, DetailChangesNoTime) {
  Planned planned = plan_of(kMlp, 2, {"parallel.tensor=2"});
  PlanRequest request = planned.request();
  const RunPlan whole = make_run_plan(request);
  request.detail = core::TaskDetail::kParts;
  const RunPlan parts = make_run_plan(request);
  EXPECT_LT(whole.classes[0].tasks.tasks.size(), parts.classes[0].tasks.tasks.size());
  EXPECT_NEAR(whole.step_seconds, parts.step_seconds, 1e-12);
  for (size_t i = 0; i < whole.classes.size(); ++i) {
    const core::SimRankTimes &a = whole.classes[i].times, &b = parts.classes[i].times;
    EXPECT_NEAR(a.busy, b.busy, 1e-12);
    EXPECT_NEAR(a.exposed, b.exposed, 1e-12);
    EXPECT_NEAR(a.idle, b.idle, 1e-12);
    EXPECT_NEAR(a.communication, b.communication, 1e-12);
  }
}

TEST(RunPlan, RefusesAWorldThatDoesNotFit) {
  EXPECT_THAT(message_of([] { plan_of(kMlp, 3).run(); }), HasSubstr("test.txtpb:5"));
}

// golden/plan_mlp.txt: run with TRIREME_WRITE_GOLDENS=1 to write it anew, and read the difference.
TEST(RunPlan, TextIsTheGolden) {
  const Planned planned = plan_of(kMlp, 4, {"parallel.zero=1"});
  const std::string text = plan_text(planned.run(), planned.job);
  const std::string path = TRIREME_SOURCE_ROOT "/tests/goldens/plan_mlp.txt";
  if (std::getenv("TRIREME_WRITE_GOLDENS")) std::ofstream(path) << text;
  std::stringstream golden;
  golden << std::ifstream(path).rdbuf();
  EXPECT_EQ(text, golden.str());
}

TEST(RunPlan, JsonAndTimelineAreWhole) {
  const Planned planned = plan_of(kMlp, 4);
  const RunPlan plan = planned.run();
  const auto json = nlohmann::json::parse(plan_json(plan, planned.job));
  EXPECT_EQ(json.at("rank_bytes"), plan.rank_bytes());
  EXPECT_EQ(json.at("classes").at(0).at("arenas_bytes"), plan.classes[0].memory.total());
  double until = 0;
  const auto timeline = nlohmann::json::parse(plan_timeline(plan));
  for (const auto& event : timeline.at("traceEvents"))
    if (event.at("ph") == "X")
      until = std::max(until, event.at("ts").get<double>() + event.at("dur").get<double>());
  EXPECT_NEAR(until, plan.step_seconds * 1e6, 1e-6);
}

TEST(DeviceFile, ComesBackAsItWas) {
  core::DeviceModel device = core::find_device("a100");
  device.name = "mine";
  device.hidden_share = 0.25;
  device.ops["linear"] = {{1000, 200, 0.5}, {2000, 300, 0.75}};
  const std::string path = ::testing::TempDir() + "/device.json";
  std::ofstream(path) << device_json(device);
  const core::DeviceModel read = load_device(path);
  EXPECT_EQ(device_json(read), device_json(device));
  EXPECT_EQ(read.kind, core::DeviceKind::kCuda);
  EXPECT_EQ(read.ops.at("linear").at(1).seconds, 0.75);
}

TEST(DeviceFile, RefusesWhatIsNone) {
  const std::string path = ::testing::TempDir() + "/no_device.json";
  std::ofstream(path) << R"({"name": "x", "f32_peak_flops": "fast"})";
  EXPECT_THAT(message_of([&] { load_device(path); }),
              HasSubstr("no_device.json: expects a device"));
  std::ofstream(path) << R"({"name": "x"})";
  EXPECT_THAT(message_of([&] { load_device(path); }),
              HasSubstr("f32_peak_flops must be above 0, got 0"));
  EXPECT_THAT(message_of([] { load_device("abacus"); }), HasSubstr("neither a file nor a known"));
}

}  // namespace
}  // namespace trireme::launcher

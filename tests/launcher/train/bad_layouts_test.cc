// Layouts that a job and its world cannot have: one line each, at the field that is at fault.
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "launcher/job/load.h"
#include "launcher/train/remarks.h"
#include "launcher/train/training_plan.h"

namespace trireme::launcher {
namespace {

const std::string kGpt =
    R"(model { gpt { layers: 3 width: 24 heads: 4 context: 12 vocabulary: 61 } }
data { train { tokens { files: "none.bin" } } }
train { global_batch: 16 micro_batch: 2 steps: 6 }
optimizer { adamw { lr: 1e-3 } }
)";

const std::string kLlama =
    R"(model { llama { layers: 2 width: 24 heads: 4 kv_heads: 2 hidden: 21 context: 12 vocabulary: 61 } }
data { train { tokens { files: "none.bin" } } }
train { global_batch: 16 micro_batch: 2 steps: 6 }
optimizer { adamw { lr: 1e-3 } }
)";

struct BadLayout {
  std::string job;
  int world;
  std::string parallel;  // line 5 of the job
  std::string message;
};

RunShape plan(const std::string& text, int world) {
  const JobOptions job = parse_job(text, "a.txtpb", {}).options;
  const DataShapes data{.train_samples = 100,
                        .sample = {12},
                        .classes = 61,
                        .sample_type = core::DType::kI32,
                        .labels = {12}};
  RunShape run = shape_run(job, data, world);
  for (int rank = 0; rank < world; ++rank)
    plan_session(job, data, run, rank, core::DeviceKind::kCpu, {});
  return run;
}

TEST(BadLayouts, AreToldInOneLineAtTheField) {
  const std::vector<BadLayout> table = {
      {kGpt, 2, "tensor: 4",
       "a.txtpb:5:1: parallel: 2 ranks do not divide by 4 (the product of the sizes that are set); "
       "nearest worlds: 4"},
      {kGpt, 7, "tensor: 2 pipeline: 2",
       "a.txtpb:5:1: parallel: 7 ranks do not divide by 4 (the product of the sizes that are set); "
       "nearest worlds: 4, 8"},
      {kGpt, 4, "data: 2 tensor: 1",
       "a.txtpb:5:1: parallel: data 2 x tensor 1 x pipeline 1 = 2 ranks, but 4 were started; start "
       "2 or set parallel.data to 0"},
      {kGpt, 4, "data: 0 tensor: 0",
       "a.txtpb:5:1: parallel: at most one of data, tensor and pipeline may be 0 (what is left)"},
      {kGpt, 3, "",
       "a.txtpb:3:9: train.global_batch (16) does not divide over 3 data ranks; nearest: 15, 18, "
       "or start another number of ranks"},
      {kGpt, 26, "pipeline: 26",
       "a.txtpb:5:12: parallel.pipeline (26) must not exceed the layers that can be apart (24); "
       "nearest: 24"},
      {kGpt, 2, "pipeline: 2 virtual_stages: 40 pipeline_schedule: INTERLEAVED",
       "a.txtpb:5:12: parallel.pipeline (2) x parallel.virtual_stages (40) must not exceed the "
       "layers that can be apart (24); nearest: parallel.pipeline 1, or parallel.virtual_stages "
       "12"},
      {kGpt, 2, "pipeline: 2 virtual_stages: 2",
       "a.txtpb:5:24: parallel.virtual_stages (2) is for parallel.pipeline_schedule INTERLEAVED; "
       "with ONE_F_ONE_B it must be 1"},
      {kGpt, 3, "pipeline: 3 pipeline_schedule: INTERLEAVED",
       "a.txtpb:5:24: parallel.pipeline_schedule INTERLEAVED expects a data rank's micro-batches "
       "(8) to be a multiple of parallel.pipeline (3); nearest: 6, 9 (of train.micro_batch, "
       "train.global_batch and parallel.data), or take ONE_F_ONE_B"},
      {kGpt, 2, "pipeline: 2 stages: \"block9\"",
       "a.txtpb:5:24: parallel.stages: no stage can end with 'block9'; it may be one of: "
       "embedding, "
       "block0, block1, block2, norm"},
      {kGpt, 3, "pipeline: 3 stages: \"block1\" stages: \"block0\"",
       "a.txtpb:5:24: parallel.stages: 'block0' must come behind the layers named before it; "
       "order: "
       "embedding, block0, block1, block2, norm"},
      {kGpt, 3, "pipeline: 3 stages: \"block1\"",
       "a.txtpb:5:24: parallel.stages expects 2 of the network's layers or blocks, the last of "
       "each "
       "of 3 stages but the last, got 1"},
      {kGpt, 1, "stages: \"block1\"",
       "a.txtpb:5:12: parallel.stages cuts the network into 2, but parallel.pipeline is 1: remove "
       "it, or set parallel.pipeline to 2"},
      {kGpt, 3, "tensor: 3",
       "a.txtpb:5:12: parallel.tensor (3): layer 'block0/attention': [causal_attention] expects "
       "the "
       "tensor axis (3 ranks) to divide its 4 heads; nearest: 2 or 4 ranks, or 3 or 6 heads"},
      {kLlama, 4, "tensor: 4",
       "a.txtpb:5:12: parallel.tensor (4): layer 'block0/attention/rotary': [rotary] expects the "
       "tensor axis (4 ranks) to divide its 2 heads; nearest: 2 ranks, or 4 heads"},
      {kLlama, 2, "tensor: 2",
       "a.txtpb:5:12: parallel.tensor (2): layer 'block0/mlp/gate_up': the tensor axis (2 ranks) "
       "does not divide the 21 outputs of 'block0/mlp/gate_up/weight'; nearest: 1 or 3 ranks, or "
       "20 or 22 outputs"},
      {kGpt, 5, "tensor: 5 sequence: true",
       "a.txtpb:5:12: parallel.tensor (5): layer 'block0/norm1': the tensor axis (5 ranks) does "
       "not "
       "divide the 24 rows (samples x positions) of 'embedding', which sequence parallelism cuts; "
       "nearest: 4 or 6 ranks, or 20 or 25 rows"},
  };
  for (const BadLayout& bad : table) {
    SCOPED_TRACE(bad.parallel);
    try {
      plan(bad.job + "parallel { " + bad.parallel + " }", bad.world);
      ADD_FAILURE() << "nothing was thrown";
    } catch (const InvalidArgument& error) {
      EXPECT_EQ(error.what(), bad.message);
      EXPECT_EQ(error.code(), ExitCode::kUsage);
    }
  }
}

TEST(Remarks, NameWhatOneRankMakesNoUseOf) {
  const auto remarks = [](const std::string& parallel, int world) {
    const std::string text = kGpt + "parallel { " + parallel + " }";
    return remarks_on(parse_job(text, "a.txtpb", {}).options, plan(text, world));
  };
  const std::string here = " changes nothing here: parallel.";
  EXPECT_EQ(remarks("zero: 2 sequence: true pipeline_schedule: ZERO_BUBBLE", 1),
            (std::vector<std::string>{
                "a.txtpb:5:12: parallel.zero" + here + "data is 1",
                "a.txtpb:5:20: parallel.sequence" + here + "tensor is 1",
                "a.txtpb:5:35: parallel.pipeline_schedule" + here + "pipeline is 1"}));
  EXPECT_TRUE(remarks("zero: 2", 2).empty());
  EXPECT_TRUE(remarks("tensor: 2 sequence: true", 2).empty());
  EXPECT_TRUE(remarks("", 1).empty());
}

}  // namespace
}  // namespace trireme::launcher

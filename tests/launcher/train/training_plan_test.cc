#include "launcher/train/training_plan.h"

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "tests/launcher/job/job_folder.h"

namespace trireme::launcher {
namespace {

const char kJob[] = R"(model { mlp {} }
data { train { synthetic { samples: 100 } } }
train { global_batch: 8 epochs: 3 }
optimizer { sgd { lr: 0.1 } })";

struct Planned {
  JobFolder folder;
  DataShapes data{.train_samples = 100, .sample = {28, 28, 1}, .classes = 10};

  RunShape shape(int world, const std::vector<std::string>& sets = {}) {
    return shape_run(folder.load(kJob, sets).options, data, world);
  }
  std::string refusal(int world, const std::vector<std::string>& sets = {}) {
    try {
      shape(world, sets);
      return "";
    } catch (const InvalidArgument& error) {
      return folder.without_folder(error.what());
    }
  }
};

TEST(TrainingPlan, CountsStepsAndCutsTheBatch) {
  Planned plan;
  plan.data.eval_samples = 30;
  const RunShape run = plan.shape(2);
  EXPECT_EQ(run.total_steps, 38);        // 3 x 100 samples in batches of 8, the last one runs on
  EXPECT_EQ(run.eval_every_steps, 13);   // an epoch
  EXPECT_EQ(run.eval_micro_batches, 4);  // 30 samples over 2 ranks of 4
  EXPECT_EQ(run.batch.micro_batch, 4);
  EXPECT_DOUBLE_EQ(run.epoch(25, 100), 2.0);
  EXPECT_EQ(plan.shape(4, {"train.steps=7"}).total_steps, 7);
}

TEST(TrainingPlan, AWorldThatDoesNotFitIsRefusedAtItsField) {
  Planned plan;
  for (int world : {1, 2, 4, 8}) EXPECT_EQ(plan.refusal(world), "");
  EXPECT_EQ(
      plan.refusal(3),
      "a.txtpb:3:9: train.global_batch (8) does not divide over 3 data ranks; nearest: 6, 9, or "
      "start another number of ranks");
  EXPECT_EQ(
      plan.refusal(16),
      "a.txtpb:3:9: train.global_batch (8) does not divide over 16 data ranks; nearest: 16, or "
      "start another number of ranks");
  EXPECT_EQ(
      plan.refusal(2, {"train.micro_batch=8"}),
      "--set train.micro_batch=8: train.micro_batch (8) must divide a rank's share of the batch "
      "(4 = global batch 8 / 2 data ranks); nearest: 4");
  EXPECT_EQ(plan.refusal(2, {"parallel.data=4"}),
            "--set parallel.data=4: parallel: data 4 x tensor 1 x pipeline 1 = 4 ranks, but 2 were "
            "started; start 4 or set parallel.data to 0");
}

TEST(TrainingPlan, TooFewOutputsForTheDataAreRefused) {
  Planned plan;
  plan.data.classes = 12;
  const LoadedJob job = plan.folder.load(kJob);
  try {
    build_graph(job.options, plan.data, 4, true, {});
    FAIL() << "expected InvalidArgument";
  } catch (const InvalidArgument& error) {
    EXPECT_EQ(plan.folder.without_folder(error.what()),
              "a.txtpb:1:1: layer 'loss': [softmax_cross_entropy] gets logits (4, 10) but the data "
              "has 12 classes; give the layer before it at least 12 outputs");
  }
}

}  // namespace
}  // namespace trireme::launcher

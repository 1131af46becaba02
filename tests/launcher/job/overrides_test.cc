#include <gtest/gtest.h>

#include "tests/launcher/job/job_folder.h"

namespace trireme::launcher {
namespace {

const std::string kJob = std::string(kModel) + kData + kTrain + kOptimizer;

JobOptions with(const std::vector<std::string>& sets, const std::string& job = kJob) {
  return JobFolder().load(job, sets).options;
}
std::string errors(const std::string& set, const std::string& job = kJob) {
  return JobFolder().errors(job, {set});
}

TEST(Overrides, Scalars) {
  const JobOptions job =
      with({"train.seed=2", "name=a-b", "train.global_batch=16", "optimizer.sgd.lr=3e-4",
            "optimizer.sgd.nesterov=true", "optimizer.sgd.momentum=0.5", "train.determinism=NONE"});
  EXPECT_EQ(job.train.seed, 2u);
  EXPECT_EQ(job.name, "a-b");
  EXPECT_EQ(job.train.global_batch, 16);
  EXPECT_EQ(job.optimizer.lr, 3e-4f);
  EXPECT_EQ(job.train.determinism, Determinism::kNone);
  const auto& sgd = std::get<core::SgdOptions>(*job.optimizer.rule);
  EXPECT_TRUE(sgd.nesterov);
  EXPECT_EQ(sgd.momentum, 0.5f);
}

TEST(Overrides, TheLastCounts) { EXPECT_EQ(with({"train.seed=2", "train.seed=5"}).train.seed, 5u); }

TEST(Overrides, AnotherCaseReplacesTheFirst) {
  const JobOptions job =
      with({"train.steps=7", "optimizer.adamw.lr=0.01", "model.mlp.hidden=[3, 4]"});
  EXPECT_FALSE(job.train.epochs);
  EXPECT_EQ(job.train.steps, 7);
  EXPECT_EQ(std::get<core::AdamOptions>(*job.optimizer.rule).weight_decay, 0.01f);
  EXPECT_EQ(job.optimizer.lr, 0.01f);
  EXPECT_EQ(std::get<models::MlpOptions>(job.model.network).hidden, (std::vector<int64_t>{3, 4}));
}

TEST(Overrides, NetworkReplacesLayersAndItsErrorsGo) {
  const std::string job = std::string(kData) + kTrain + kOptimizer +
                          "model { layer { name: \"a\" linear { outputs: 0 } } }";
  EXPECT_EQ(errors("train.seed=1", job),
            "a.txtpb:4:9: model.layer has no loss: add e.g. layer { name: \"loss\" "
            "softmax_cross_entropy {} }\n"
            "a.txtpb:4:36: model.layer[0].linear.outputs (0) must be from 1 to 2147483647");
  EXPECT_TRUE(
      std::holds_alternative<models::Lenet5Options>(with({"model.lenet5={}"}, job).model.network));
}

TEST(Overrides, ElementsOfLists) {
  const std::string job = std::string(kData) + kTrain + kOptimizer + R"(model {
    layer { name: "a" conv2d { outputs: 2 kernel: [3, 3] } }
    layer { name: "l" softmax_cross_entropy {} } })";
  const auto options = with({"model.layer[0].conv2d.kernel=5", "model.layer[0].name=b",
                             "model.layer[0].conv2d.pad=[1, 2]", "model.layer[0].conv2d.pad[1]=3"},
                            job);
  const auto& layer = std::get<models::LayerList>(options.model.network)[0];
  EXPECT_EQ(layer.name, "b");
  const auto& conv = std::get<models::Conv2dLayer>(layer.op);
  EXPECT_EQ(conv.kernel_h, 5);
  EXPECT_EQ(conv.kernel_w, 5);
  EXPECT_EQ(conv.op.pad_h, 1);
  EXPECT_EQ(conv.op.pad_w, 3);
}

TEST(Overrides, TextNeedsNoQuotes) {
  JobFolder folder;
  folder.write("my images, v=2.idx", "x");
  const auto options = folder
                           .load(kJob, {"data.train.idx.images=my images, v=2.idx",
                                        "data.train.idx.labels=\"labels.idx\""})
                           .options;
  EXPECT_EQ(folder.without_folder(std::get<IdxOptions>(options.data.train).images),
            "my images, v=2.idx");
}

TEST(Overrides, Errors) {
  EXPECT_EQ(errors("train.sed=2"),
            "--set train.sed=2: unknown field \"sed\" of train; did you mean \"seed\"?");
  EXPECT_EQ(errors("trian.seed=2"),
            "--set trian.seed=2: unknown field \"trian\" of the job; did you mean \"train\"?");
  EXPECT_EQ(errors("train.seed"), "--set train.seed: expects PATH=VALUE, e.g. --set train.seed=2");
  EXPECT_EQ(errors("train..seed=1"),
            "--set train..seed=1: expects a path like model.layer[2].name, got \"train..seed\"");
  EXPECT_EQ(errors("=1"), "--set =1: expects a path like model.layer[2].name, got \"\"");
  EXPECT_EQ(errors("train.seed=x"),
            "--set train.seed=x: train.seed expects a whole number of at least 0, got \"x\"");
  EXPECT_EQ(errors("train.seed="),
            "--set train.seed=: train.seed has no value; expects a whole number of at least 0");
  EXPECT_EQ(errors("train.seed=1 2"),
            "--set train.seed=1 2: train.seed expects one value, got 2 after it");
  EXPECT_EQ(errors("train.seed.x=1"),
            "--set train.seed.x=1: train.seed has no fields; it is a whole number of at least 0");
  EXPECT_EQ(errors("train[0].seed=1"), "--set train[0].seed=1: train is no list; remove [0]");
  EXPECT_EQ(errors("model.layer[0].name=a"), "--set model.layer[0].name=a: model.layer is empty");
  EXPECT_EQ(
      errors("model.layer.name=a"),
      "--set model.layer.name=a: model.layer is a list; say which element, e.g. model.layer[0]");
  EXPECT_EQ(errors("train.precision=fp16"),
            "--set train.precision=fp16: train.precision expects one of FP32, BF16, FP16, got "
            "\"fp16\"; did you mean FP16?");
  EXPECT_EQ(errors("train=3"), "--set train=3: train expects \"{\", got 3");
  EXPECT_EQ(errors(std::string("name=a\nb")),
            "--set name=a\\x0ab: name may not hold control characters");
}

TEST(Overrides, ChecksNameTheSetOrTheFile) {
  EXPECT_EQ(errors("train.micro_batch=3"),
            "--set train.micro_batch=3: train.micro_batch (3) must divide train.global_batch (8); "
            "nearest: 2, 4");
  EXPECT_EQ(JobFolder().errors(kJob + "logging { every_steps: -1 }",
                               {"train.sed=1", "optimizer.sgd.lr=-1"}),
            "a.txtpb:5:11: logging.every_steps (-1) must be from 1 to 2147483647\n"
            "--set train.sed=1: unknown field \"sed\" of train; did you mean \"seed\"?\n"
            "--set optimizer.sgd.lr=-1: optimizer.sgd.lr (-1) must be above 0");
}

}  // namespace
}  // namespace trireme::launcher

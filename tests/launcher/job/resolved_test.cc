// The resolved job runs again and is the same job; the example jobs are right.
#include <gtest/gtest.h>

#include <set>

#include "tests/launcher/job/every_field.h"
#include "tests/launcher/job/job_folder.h"

namespace trireme::launcher {
namespace {

void expect_round_trip(const JobFolder& folder, const LoadedJob& job) {
  folder.write("elsewhere/job.resolved.txtpb", job.resolved);
  const LoadedJob again = load_job(folder.path("elsewhere/job.resolved.txtpb"));
  EXPECT_TRUE(again.options == job.options) << again.resolved;
  EXPECT_EQ(again.resolved, job.resolved);
}

TEST(Resolved, GivesEqualOptionsFromAnyFolder) {
  JobFolder folder;
  for (const char* text : kEveryField) expect_round_trip(folder, folder.load(text));
}

TEST(Resolved, KeepsWhatIsNotDefault) {
  JobFolder folder;
  const std::vector<std::string> sets = {
      "name=x",
      "train.seed=18446744073709551615",
      "train.steps=7",
      "train.eval_every_steps=3",
      "optimizer.adamw={lr: 0.123456789 beta1: 0.1 beta2: 0.2 epsilon: 1e-20 weight_decay: 0.3}",
      "optimizer.clip_norm=1.5",
      "optimizer.group={match: \"a*\" weight_decay: 0.7 lr_scale: 0.1 frozen: true}",
      "schedule.cosine={warmup_steps: 2 final_fraction: 0.1}",
      "model.lenet5={classes: 12 init { normal { mean: 1 stddev: 2 } } }",
      "data.validation_fraction=0.1234567890123",
      "parallel.data=4",
      "logging.every_steps=1",
  };
  const LoadedJob job = folder.load(kLenet5, sets);
  EXPECT_EQ(job.options.train.seed, UINT64_MAX);
  EXPECT_EQ(job.options.optimizer.lr, 0.123456789f);
  EXPECT_EQ(job.options.data.validation_fraction, 0.1234567890123);
  EXPECT_FALSE(job.options == folder.load(kLenet5).options);
  expect_round_trip(folder, job);
}

TEST(Resolved, FillsIn) {
  JobFolder folder;
  const LoadedJob mlp = folder.load(kMlp);
  EXPECT_EQ(mlp.options.name, "a");
  const auto& eval = std::get<SyntheticOptions>(*mlp.options.data.eval);
  EXPECT_EQ(eval.first_sample, 4096);
  EXPECT_NE(mlp.resolved.find("first_sample: 4096"), std::string::npos);

  const LoadedJob net = folder.load(kEveryLayer);
  const auto& layers = std::get<models::LayerList>(net.options.model.network);
  EXPECT_EQ(layers[0].inputs, std::vector<std::string>{"data"});
  EXPECT_EQ(layers[1].inputs, std::vector<std::string>{"conv"});
  const auto& pool = std::get<models::AveragePool2dLayer>(layers[2].op).op;
  EXPECT_EQ(pool.stride_h, 3) << "windows stand side by side unless told otherwise";
  EXPECT_EQ(folder.without_folder(layers[1].place.text), "a.txtpb:4:3");
}

TEST(Resolved, NormalisationIsThatOfBoth) {
  JobFolder folder;
  const LoadedJob job =
      folder.load(kLenet5, {"data.validation_fraction=0", "data.eval.idx.images=images.idx",
                            "data.eval.idx.labels=labels.idx"});
  const auto& train = std::get<IdxOptions>(job.options.data.train);
  EXPECT_EQ(train.normalization.mean, (std::vector<float>{0.1f, 0.2f}));
  EXPECT_EQ(std::get<IdxOptions>(*job.options.data.eval).normalization, train.normalization);
}

TEST(Resolved, EveryLayerCanBeReached) {
  const auto options = JobFolder().load(kEveryLayer).options;
  std::set<size_t> seen;
  for (const auto& layer : std::get<models::LayerList>(options.model.network))
    seen.insert(layer.op.index());
  EXPECT_EQ(seen.size(), std::variant_size_v<models::LayerOptions::Op> - 1);
  EXPECT_EQ(seen.count(0), 0u) << "an operation that was not read";
}

TEST(ExampleJobs, Load) {
  JobFolder folder;
  for (const char* part : {"train-images", "train-labels", "test-images", "test-labels"})
    folder.write(std::string("data/digits-") + part + ".idx.gz", "x");
  for (const char* text :
       {"licenses.txt", "fineweb10B/fineweb_train_1.bin", "fineweb10B/fineweb_val_0.bin"})
    folder.write(std::string("data/") + text, "x");
  std::filesystem::copy(TRIREME_SOURCE_ROOT "/jobs", folder.path("jobs"));
  int jobs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path("jobs"))) {
    if (entry.path().extension() != ".txtpb") continue;
    EXPECT_NO_THROW(expect_round_trip(folder, load_job(entry.path()))) << entry.path();
    ++jobs;
  }
  EXPECT_GE(jobs, 7);
}

}  // namespace
}  // namespace trireme::launcher

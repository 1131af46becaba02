#include "launcher/job/compare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "tests/launcher/job/job_folder.h"

namespace trireme::launcher {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const char kBase[] = R"(name: "a"
model {
  layer { name: "conv" conv2d { outputs: 4 kernel: [3, 5] } }
  layer { name: "flat" flatten {} }
  layer { name: "fc" linear { outputs: 10 } }
  layer { name: "loss" softmax_cross_entropy {} }
}
data { train { idx { images: "images.idx" labels: "labels.idx" } } validation_fraction: 0.1 }
train { global_batch: 8 steps: 100 }
optimizer { sgd { lr: 0.1 momentum: 0.9 } })";

struct Compared {
  JobFolder folder;
  std::vector<JobDifference> differences(const std::string& before, const std::string& after) {
    return compare_jobs(before, after, "job.resolved.txtpb");
  }
  // "path" of an allowed difference, "!path" of another.
  std::vector<std::string> paths(const std::vector<std::string>& sets) {
    std::vector<std::string> paths;
    for (const JobDifference& d :
         differences(folder.load(kBase).resolved, folder.load(kBase, sets).resolved))
      paths.push_back((d.allowed ? "" : "!") + d.path);
    return paths;
  }
};

TEST(CompareJobs, FindsNothingInOneJob) {
  Compared jobs;
  EXPECT_THAT(jobs.paths({}), IsEmpty());
}

TEST(CompareJobs, NamesWhatDiffers) {
  Compared jobs;
  struct Case {
    std::vector<std::string> sets, paths;
  };
  const Case cases[] = {
      {{"name=\"b\""}, {"name"}},
      {{"train.steps=200"}, {"train.steps"}},
      {{"train.epochs=2"}, {"train.epochs", "train.steps"}},
      {{"train.micro_batch=4"}, {"train.micro_batch"}},
      {{"train.eval_every_steps=5"}, {"train.eval_every_steps"}},
      {{"optimizer.sgd.lr=0.2"}, {"optimizer.sgd.lr"}},
      {{"schedule.cosine={ warmup_steps: 4 }"}, {"schedule.constant", "schedule.cosine"}},
      {{"parallel.data=2"}, {"parallel.data"}},
      {{"logging.every_steps=1"}, {"logging.every_steps"}},
      {{"train.seed=2"}, {"!train.seed"}},
      {{"train.global_batch=16"}, {"!train.global_batch"}},
      {{"optimizer.sgd.momentum=0.5"}, {"!optimizer.sgd.momentum"}},
      {{"optimizer.clip_norm=1"}, {"!optimizer.clip_norm"}},
      {{"optimizer.adamw={ lr: 0.1 }"}, {"!optimizer.sgd", "!optimizer.adamw"}},
      {{"data.train.idx.classes=12"}, {"!data.train.idx.classes"}},
      {{"data.validation_fraction=0.2"}, {"!data.validation_fraction"}},
      {{"model.layer[0].conv2d.kernel=3"}, {"!model.layer[0].conv2d.kernel"}},
      {{"model.layer[2].linear.outputs=20", "train.steps=5"},
       {"!model.layer[2].linear.outputs", "train.steps"}},
  };
  for (const Case& c : cases)
    EXPECT_THAT(jobs.paths(c.sets), testing::ElementsAreArray(c.paths)) << c.sets[0];
}

TEST(CompareJobs, ShowsBothValuesOnOneLine) {
  Compared jobs;
  const auto show = [&](const std::vector<std::string>& sets) {
    std::string text;
    for (const auto& d :
         jobs.differences(jobs.folder.load(kBase).resolved, jobs.folder.load(kBase, sets).resolved))
      text += d.str() + "\n";
    return text;
  };
  EXPECT_EQ(show({"train.steps=200"}), "train.steps: 100 -> 200\n");
  EXPECT_EQ(show({"optimizer.sgd.lr=0.25"}), "optimizer.sgd.lr: 0.1 -> 0.25\n");
  EXPECT_EQ(show({"train.epochs=2"}), "train.epochs: not set -> 2\ntrain.steps: 100 -> not set\n");
  EXPECT_EQ(show({"model.layer[0].conv2d.kernel=3"}),
            "model.layer[0].conv2d.kernel: [3, 5] -> [3]\n");
  EXPECT_THAT(show({"schedule.linear={ warmup_steps: 4 }"}),
              HasSubstr("schedule.linear: not set -> { warmup_steps: 4 final_fraction: 0 }\n"));
}

TEST(CompareJobs, SeesALayerMoreOrLess) {
  Compared jobs;
  const std::string before = jobs.folder.load(kBase).resolved;
  std::string longer = kBase;
  longer.insert(longer.find("  layer { name: \"loss\""), "  layer { name: \"act\" relu {} }\n");
  const std::string after = jobs.folder.load(longer).resolved;
  for (const auto& differences :
       {jobs.differences(before, after), jobs.differences(after, before)}) {
    ASSERT_FALSE(differences.empty());
    EXPECT_EQ(differences.back().path, "model.layer[4]");
    EXPECT_FALSE(differences.back().allowed);
  }
}

TEST(CompareJobs, AllowsDataToMove) {
  Compared jobs;
  jobs.folder.write("moved/images.idx", "x");
  jobs.folder.write("moved/labels.idx", "x");
  EXPECT_THAT(jobs.paths({"data.train.idx.images=\"moved/images.idx\"",
                          "data.train.idx.labels=\"moved/labels.idx\""}),
              ElementsAre("data.train.idx.images", "data.train.idx.labels"));
}

// As if an older version, which did not have the field, had written it.
TEST(CompareJobs, TakesAFieldThatIsNotThereForItsDefault) {
  Compared jobs;
  const std::string after = jobs.folder.load(kBase).resolved;
  std::string before = after;
  for (const char* line : {"  seed: 1\n", "  clip_norm: 0\n"}) {
    ASSERT_NE(before.find(line), std::string::npos) << before;
    before.erase(before.find(line), std::strlen(line));
  }
  EXPECT_THAT(jobs.differences(before, after), IsEmpty());
  const std::string other = jobs.folder.load(kBase, {"train.seed=2"}).resolved;
  ASSERT_EQ(jobs.differences(before, other).size(), 1u);
  EXPECT_EQ(jobs.differences(before, other)[0].str(), "train.seed: 1 -> 2");
}

TEST(CompareJobs, RefusesWhatIsNoJob) {
  Compared jobs;
  const std::string after = jobs.folder.load(kBase).resolved;
  for (const std::string& text :
       {std::string("train { sed: 1 }"), std::string("\x01"), after.substr(0, after.size() / 2)})
    try {
      jobs.differences(text, after);
      ADD_FAILURE() << text.substr(0, 20);
    } catch (const InvalidArgument& error) {
      EXPECT_THAT(error.what(), testing::StartsWith("job.resolved.txtpb:"));
      EXPECT_THAT(error.what(), testing::Not(HasSubstr("\n")));
    }
}

// Fields that a later version adds are covered as soon as they exist.
TEST(CompareJobs, PatternsCoverAFieldAndAllInsideIt) {
  for (const char* path :
       {"name", "parallel", "parallel.data", "checkpoint.every_steps", "deadlines.step_seconds",
        "train.early_stop", "train.early_stop.patience", "train.average.decay",
        "train.non_finite.policy", "train.replica_check_every_steps", "optimizer.lion.lr",
        "schedule.step.gamma", "data.eval.idx.images", "data.train.custom.parameter[2].value"})
    EXPECT_TRUE(may_differ(path)) << path;
  for (const char* path : {"", "train", "train.average", "names", "train.step", "train.stepsize",
                           "optimizer.lr", "optimizer.sgd", "optimizer.group[0].lr_scale",
                           "data.train.idx", "data.train.custom.name", "model.name"})
    EXPECT_FALSE(may_differ(path)) << path;
}

}  // namespace
}  // namespace trireme::launcher

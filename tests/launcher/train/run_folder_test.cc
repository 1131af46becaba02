#include "launcher/train/run_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/error.h"
#include "tests/launcher/job/job_folder.h"
#include "tests/support/file_calls.h"
#include "tests/support/scratch_folder.h"

namespace trireme::launcher {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string kSteps =
    "model { mlp {} } data { train { synthetic {} } } "
    "train { global_batch: 8 steps: 100 } optimizer { sgd { lr: 0.1 } }";

class Folder : public testing::Test {
 protected:
  JobFolder jobs;
  ScratchFolder scratch;
  fs::path run = scratch / "runs/a";

  std::string job(const std::vector<std::string>& sets = {}) const {
    return jobs.load(kSteps, sets).resolved;
  }

  // One start, which ends right away.
  OpenedRun start(const std::string& resolved, const std::string& resume = "auto") const {
    return RunFolder(run).open(resolved, ResumeRequest::parse(resume));
  }
  OpenedRun start() const { return start(job()); }

  std::string refusal(const std::string& resolved, const std::string& resume = "auto",
                      ExitCode code = ExitCode::kUsage) const {
    const std::vector<std::string> before = everything();
    try {
      start(resolved, resume);
      return "";
    } catch (const InvalidArgument& error) {
      EXPECT_EQ(error.code(), code);
      EXPECT_EQ(everything(), before) << "a folder that is refused is touched";
      EXPECT_THAT(error.what(), testing::Not(HasSubstr("\n")));
      return error.what();
    }
  }

  fs::path commit(int64_t step) const {
    const CheckpointStore store = RunFolder(run).checkpoints();
    return store.commit(store.begin(), step, "manifest", "");
  }
  void write(const std::string& name, const std::string& text = "x") const {
    scratch.write("runs/a/" + name, text);
  }
  std::string read(const std::string& name) const { return scratch.read("runs/a/" + name); }
  bool has(const std::string& name) const { return fs::exists(run / name); }

  std::vector<std::string> everything() const {
    std::vector<std::string> all;
    for (const auto& entry : fs::recursive_directory_iterator(scratch.path())) {
      const std::string name = entry.path().lexically_relative(scratch.path()).string();
      all.push_back(entry.is_regular_file() ? name + "=" + scratch.read(name) : name);
    }
    std::ranges::sort(all);
    return all;
  }

  static std::vector<int64_t> steps(const OpenedRun& opened) {
    std::vector<int64_t> steps;
    for (const auto& candidate : opened.candidates) steps.push_back(candidate.step);
    return steps;
  }
};

TEST_F(Folder, NewIsMadeForItsOwnerAlone) {
  RunFolder folder(run);
  const OpenedRun opened = folder.open(job(), {});
  EXPECT_EQ(opened.state, RunState::kNew);
  EXPECT_THAT(opened.notes, IsEmpty());
  EXPECT_THAT(opened.candidates, IsEmpty());
  EXPECT_EQ(read("job.resolved.txtpb"), job());
  EXPECT_TRUE(has("lock"));
  EXPECT_TRUE(folder.still_mine());
  struct stat status {};
  ASSERT_EQ(::stat(run.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700u);
  ASSERT_EQ(::stat((run / "job.resolved.txtpb").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  folder.release();
  EXPECT_FALSE(has("lock"));
  EXPECT_FALSE(folder.still_mine());
}

TEST_F(Folder, NeverTakesAnEmptyFolderAndNoOther) {
  fs::create_directories(run);
  EXPECT_EQ(start(job(), "never").state, RunState::kNew);
  EXPECT_THAT(refusal(job(), "never"), HasSubstr("--resume never does not overwrite"));
}

TEST_F(Folder, AFinishedRunIsLeftAlone) {
  start();
  commit(100);
  write("model.safetensors");
  const auto before = everything();
  for (const auto& resolved : {job(), job({"logging.every_steps=3"})}) {
    const OpenedRun opened = start(resolved);
    EXPECT_EQ(opened.state, RunState::kFinished);
    EXPECT_THAT(opened.candidates, IsEmpty());
    EXPECT_THAT(opened.notes, IsEmpty());
    EXPECT_EQ(everything(), before);
  }
  EXPECT_THAT(refusal(job({"train.seed=2"})), HasSubstr("train.seed: 1 -> 2"));
  EXPECT_NE(refusal(job(), "never"), "");
}

TEST_F(Folder, AFinishedRunGoesOnIfItIsMadeLonger) {
  start();
  commit(50);
  commit(100);
  write("model.safetensors", "of step 100");
  const OpenedRun opened = start(job({"train.steps=200"}));
  EXPECT_EQ(opened.state, RunState::kResume);
  EXPECT_THAT(steps(opened), ElementsAre(100, 50));
  EXPECT_THAT(opened.notes,
              ElementsAre("changed since job.resolved.txtpb: train.steps: 100 -> 200"));
  EXPECT_EQ(read("model.before-2.safetensors"), "of step 100");
  EXPECT_FALSE(has("model.safetensors"));
  EXPECT_EQ(read("job.resolved.txtpb"), job());
  EXPECT_EQ(read("job.resolved.2.txtpb"), job({"train.steps=200"}));
  // Killed right there, it is not taken for finished.
  EXPECT_EQ(start(job({"train.steps=200"})).state, RunState::kResume);
}

TEST_F(Folder, AFinishedRunWithoutCheckpointsCannotBeMadeLonger) {
  start();
  write("model.safetensors");
  EXPECT_THAT(refusal(job({"train.steps=200"})), HasSubstr("left no checkpoint"));
}

TEST_F(Folder, AnUnfinishedRunResumesFromTheNewest) {
  start();
  for (const int64_t step : {10, 30, 20}) commit(step);
  const OpenedRun opened = start();
  EXPECT_EQ(opened.state, RunState::kResume);
  EXPECT_THAT(steps(opened), ElementsAre(30, 20, 10));
  EXPECT_THAT(opened.notes, IsEmpty());
  EXPECT_FALSE(has("job.resolved.2.txtpb"));
  EXPECT_NE(refusal(job(), "never"), "");
}

TEST_F(Folder, AnUnfinishedRunWithoutCheckpointsStartsAgain) {
  start();
  write("metrics.jsonl", "{\"step\":1}\n");
  const OpenedRun opened = start();
  EXPECT_EQ(opened.state, RunState::kNew);
  ASSERT_EQ(opened.notes.size(), 1u);
  EXPECT_THAT(opened.notes[0], HasSubstr("starting from step 1"));
  EXPECT_FALSE(has("job.resolved.2.txtpb"));
}

TEST_F(Folder, KeepsEachJobThatDiffers) {
  start();
  commit(10);
  start(job({"optimizer.sgd.lr=0.2"}));
  start(job({"optimizer.sgd.lr=0.2"}));
  const OpenedRun third = start(job({"optimizer.sgd.lr=0.3", "parallel.data=2"}));
  EXPECT_THAT(third.notes,
              ElementsAre("changed since job.resolved.2.txtpb: optimizer.sgd.lr: 0.2 -> 0.3",
                          "changed since job.resolved.2.txtpb: parallel.data: 0 -> 2"));
  EXPECT_EQ(read("job.resolved.2.txtpb"), job({"optimizer.sgd.lr=0.2"}));
  EXPECT_EQ(read("job.resolved.3.txtpb"), job({"optimizer.sgd.lr=0.3", "parallel.data=2"}));
  for (int i = 4; i < 12; ++i) start(job({"optimizer.sgd.lr=0." + std::to_string(i)}));
  EXPECT_THAT(start(job()).notes,
              ElementsAre("changed since job.resolved.11.txtpb: optimizer.sgd.lr: 0.11 -> 0.1"));
}

TEST_F(Folder, AnotherJobIsRefusedWithItsFields) {
  start();
  commit(10);
  EXPECT_EQ(refusal(job({"train.seed=2", "train.steps=7"})),
            "run folder " + run.string() +
                ": holds a run of another job (its job.resolved.txtpb differs in train.seed: 1 -> "
                "2); name another with --run-dir, or set it back");
  EXPECT_THAT(refusal(job({"train.seed=2", "train.global_batch=16"})),
              AllOf(HasSubstr("train.global_batch: 8 -> 16; train.seed: 1 -> 2"),
                    HasSubstr("or set them back")));
}

TEST_F(Folder, CheckpointsWithoutAJobAreAccepted) {
  fs::create_directories(run);
  commit(10);
  const OpenedRun opened = start();
  EXPECT_EQ(opened.state, RunState::kResume);
  EXPECT_THAT(steps(opened), ElementsAre(10));
  ASSERT_EQ(opened.notes.size(), 1u);
  EXPECT_THAT(opened.notes[0], HasSubstr("no job was kept"));
  EXPECT_EQ(read("job.resolved.txtpb"), job());
}

TEST_F(Folder, WhatIsNoRunIsRefused) {
  write("thesis.txt");
  EXPECT_THAT(refusal(job()), HasSubstr("not a run of trireme"));
  EXPECT_THAT(refusal(job(), "never"), HasSubstr("is not empty"));
  fs::remove_all(run);
  scratch.write("runs/a", "a file");
  EXPECT_THAT(refusal(job()), HasSubstr("is a file"));
}

TEST_F(Folder, AKeptJobThatCannotBeReadIsRefused) {
  start();
  write("job.resolved.txtpb", "train { sed: 1 }");
  EXPECT_THAT(refusal(job()), HasSubstr("job.resolved.txtpb:1:"));
}

TEST_F(Folder, ANamedCheckpointIsResumedFrom) {
  start();
  commit(10);
  const fs::path newest = commit(20);
  for (const std::string& name : {newest.string(), newest.string() + "/",
                                  fs::relative(newest, fs::current_path()).string()}) {
    const OpenedRun opened = start(job(), name);
    EXPECT_EQ(opened.state, RunState::kResume);
    EXPECT_THAT(steps(opened), ElementsAre(20));
  }
}

TEST_F(Folder, ANamedCheckpointMustBeTheNewestThere) {
  start();
  const fs::path older = commit(10);
  commit(20);
  commit(30);
  EXPECT_THAT(refusal(job(), older.string()),
              AllOf(HasSubstr("holds newer checkpoints (step-00000030, step-00000020)"),
                    HasSubstr("name another folder with --run-dir, or move these away")));
  // From another folder it begins a run of its own.
  run = scratch / "runs/b";
  const OpenedRun opened = start(job(), older.string());
  EXPECT_EQ(opened.state, RunState::kResume);
  EXPECT_THAT(steps(opened), ElementsAre(10));
  EXPECT_EQ(read("job.resolved.txtpb"), job());
}

TEST_F(Folder, ANamedCheckpointMustBeOne) {
  start();
  commit(10);
  const CheckpointStore store = RunFolder(run).checkpoints();
  const fs::path half = store.begin();
  fs::create_directory(store.folder() / "step-00000020");
  for (const fs::path& path :
       {half, store.folder(), store.folder() / "step-00000020", run / "none", fs::path("Auto")})
    EXPECT_THAT(refusal(job(), path.string(), ExitCode::kBadCheckpoint),
                HasSubstr("is no committed checkpoint"));
}

TEST_F(Folder, InUseIsRefusedByNameAndNotCleaned) {
  RunFolder folder(run);
  folder.open(job(), {});
  const fs::path half = folder.checkpoints().begin();
  EXPECT_THAT(refusal(job()), AllOf(HasSubstr("is in use by pid " + std::to_string(::getpid()))));
  EXPECT_TRUE(fs::exists(half));
  EXPECT_TRUE(folder.still_mine());
}

TEST_F(Folder, CleansUpAfterAKilledRun) {
  start();
  commit(10);
  const fs::path half = RunFolder(run).checkpoints().begin();
  write("model.safetensors.tmp-123");
  write("metrics.jsonl.tmp-9");
  write("notes.tmp-mine");
  const OpenedRun opened = start();
  ASSERT_EQ(opened.notes.size(), 1u);
  EXPECT_THAT(opened.notes[0], HasSubstr(half.filename().string()));
  EXPECT_FALSE(fs::exists(half));
  EXPECT_FALSE(has("model.safetensors.tmp-123"));
  EXPECT_FALSE(has("metrics.jsonl.tmp-9"));
  EXPECT_TRUE(has("notes.tmp-mine"));
}

// Whatever call of a start was the last one, the next start with the same command line works.
TEST_F(Folder, AStartThatIsCutShortBlocksNobody) {
  // Whether the process was killed before its call number `last`.
  const auto cut_short = [&](const std::string& resolved, size_t last) {
    const pid_t child = ::fork();
    if (child == 0) {
      size_t number = 0;
      const FileCalls watch([&](const std::string&) {
        if (number++ == last) ::kill(::getpid(), SIGKILL);
        return 0;
      });
      start(resolved);
      ::_exit(0);
    }
    int status = -1;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return WIFSIGNALED(status);
  };
  for (size_t last = 0;; ++last) {
    fs::remove_all(scratch / "runs");
    const bool cut = cut_short(job(), last);
    EXPECT_EQ(start().state, RunState::kNew) << last;
    if (!cut) {
      EXPECT_GT(last, 8u);
      break;
    }
  }
  for (size_t last = 0;; ++last) {
    fs::remove_all(scratch / "runs");
    start();
    commit(100);
    write("model.safetensors");
    const bool cut = cut_short(job({"train.steps=200"}), last);
    const OpenedRun opened = start(job({"train.steps=200"}));
    EXPECT_EQ(opened.state, RunState::kResume) << last;
    EXPECT_TRUE(has("model.before-2.safetensors")) << last;
    EXPECT_EQ(read("job.resolved.2.txtpb"), job({"train.steps=200"}));
    if (!cut) break;
  }
}

TEST_F(Folder, SaysThatItCannotBeWritten) {
  run = "/proc/no/such";
  EXPECT_THROW(start(), InvalidArgument);
  run = "/proc/self/fdinfo";  // a folder in which nothing can be made
  EXPECT_THROW(start(), InvalidArgument);
}

}  // namespace
}  // namespace trireme::launcher

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "launcher/run.h"
#include "small_checkpoint.h"
#include "tests/launcher/export/small_model.h"

namespace trireme::launcher {
namespace {

using testing::HasSubstr;

struct Outcome {
  int code;
  std::string out, err;
};

// What `trireme checkpoint WORDS...` prints and returns.
Outcome checkpoint(std::vector<std::string> words) {
  words.insert(words.begin(), {"trireme", "checkpoint"});
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  const int code = run(static_cast<int>(arguments.size()), arguments.data());
  std::fflush(stdout);
  return {code, testing::internal::GetCapturedStdout(), testing::internal::GetCapturedStderr()};
}

class CheckpointCommand : public testing::Test {
 protected:
  CheckpointCommand() {
    write_small(run_ / "checkpoints/step-00000100", 2, 1, 100);
    write_small(run_ / "checkpoints/step-00000200", 3, 2, 200);
  }
  std::string step(const std::string& name) const { return (run_ / "checkpoints" / name).string(); }

  const TemporaryFolder folder_;
  const std::filesystem::path run_ = folder_ / "run";
};

TEST_F(CheckpointCommand, Ls) {
  Outcome outcome = checkpoint({"ls", run_.string()});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.out,
            "step-00000200: step 200, 2.5 KiB, 3 shards, data 3; 175 of 200 steps applied, best "
            "0.125 at step 100; valid\n"
            "step-00000100: step 100, 2.4 KiB, 2 shards, data 2; 88 of 100 steps applied, best "
            "0.125 at step 50; valid\n");
  std::filesystem::resize_file(std::filesystem::path(step("step-00000200")) / kManifestName, 100);
  outcome = checkpoint({"ls", run_.string()});
  EXPECT_EQ(outcome.code, 65);
  EXPECT_THAT(outcome.out, HasSubstr("step-00000200: NOT VALID: " + step("step-00000200") +
                                     "/manifest.pb: says that its payload has"));
  EXPECT_EQ(checkpoint({"ls", "/nowhere"}).code, 64);
}

TEST_F(CheckpointCommand, Verify) {
  Outcome outcome = checkpoint({"verify", step("step-00000100")});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.out, step("step-00000100") +
                             ": ok; step 100, 7 tensors, 2.4 KiB in 2 shards, every byte as it was "
                             "written\n");
  const std::filesystem::path shard =
      std::filesystem::path(step("step-00000100")) / "shard-00001.safetensors";
  std::string bytes = read_file(shard);
  bytes.back() ^= 1;
  write_file(shard, bytes);
  outcome = checkpoint({"verify", step("step-00000100")});
  EXPECT_EQ(outcome.code, 65);
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, HasSubstr("trireme: " + shard.string() + ": is damaged"));
  EXPECT_EQ(checkpoint({"verify", "/nowhere"}).code, 65);
  EXPECT_EQ(checkpoint({"verify"}).code, 64);
}

TEST_F(CheckpointCommand, Diff) {
  Outcome outcome = checkpoint({"diff", step("step-00000100"), step("step-00000100")});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.out, "7 of 7 tensors equal, bit for bit\n");
  outcome = checkpoint({"diff", step("step-00000100"), step("step-00000200")});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.out, HasSubstr("attempted_steps: 100 | 200\n"));
  EXPECT_THAT(outcome.out,
              HasSubstr("parameter/fc/weight: 91 of 91 elements differ, max |a - b| "));
  EXPECT_THAT(outcome.out, HasSubstr("0 of 7 tensors equal, bit for bit\n"));
  outcome = checkpoint({"diff", step("step-00000100"), run_.string()});
  EXPECT_EQ(outcome.code, 65);
  EXPECT_THAT(outcome.err, HasSubstr("run/manifest.pb: is missing"));
}

TEST_F(CheckpointCommand, Reshard) {
  const std::string from = step("step-00000200"), to = (folder_ / "step-00000200").string();
  Outcome outcome =
      checkpoint({"reshard", from, to, "--data", "2", "--tensor", "2", "--zero", "1"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, to + ": step 200 in 4 shards; `trireme checkpoint diff` finds it equal\n");
  EXPECT_EQ(checkpoint({"diff", from, to}).code, 0);
  outcome = checkpoint({"ls", folder_.path().string()});
  EXPECT_THAT(outcome.out, HasSubstr("4 shards, data 2 x tensor 2, ZeRO 1;"));
  outcome = checkpoint({"reshard", from, to});
  EXPECT_EQ(outcome.code, 64);
  EXPECT_THAT(outcome.err, HasSubstr(to + ": is there already"));
  EXPECT_EQ(checkpoint({"reshard", from, to + "0", "--data", "0"}).code, 64);
  EXPECT_EQ(checkpoint({"reshard", from, to + "0", "--data", "65536", "--tensor", "2"}).code, 64);
  EXPECT_EQ(checkpoint({"reshard", run_.string(), to + "0"}).code, 65);
}

TEST_F(CheckpointCommand, ExportAndImport) {
  const std::string ours = (run_ / "checkpoints/step-00000300").string();
  const std::string theirs = (folder_ / "theirs").string(), back = (folder_ / "back").string();
  write_model(ours, small_gpt(), 2);
  Outcome outcome = checkpoint({"export", ours, theirs});
  EXPECT_EQ(outcome.code, 64);
  EXPECT_THAT(outcome.err, HasSubstr("say with --job what its model is"));
  const auto job = [](const std::string& model, const std::string& data) {
    return "model { " + model + " } data { train { " + data +
           " } } train { global_batch: 4 steps: 1 } optimizer { sgd { lr: 1 } }";
  };
  const std::string tokens = "tokens { files: 'nowhere' }";
  const std::string model =
      "gpt { layers: 2 width: 12 heads: 3 hidden: 20 context: 9 vocabulary: 31 epsilon: 1e-05 "
      "tied: true }";
  write_file(run_ / "job.resolved.txtpb", job("lenet5 {}", "synthetic {}"));
  EXPECT_THAT(checkpoint({"export", ours, theirs}).err,
              HasSubstr("job.resolved.txtpb: its model is neither gpt nor llama"));
  write_file(run_ / "job.resolved.2.txtpb", job(model, tokens));
  outcome = checkpoint({"export", ours + "/", theirs});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, theirs + ": 28 tensors, 0.0 MiB in 1 file\n");
  outcome = checkpoint({"import", theirs, back});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, back + ": 28 parameters\nmodel { " + model + " }\n");
  EXPECT_EQ(parameters_of(back), parameters_of(ours));
  write_file(folder_ / "other.txtpb", job("gpt { layers: 3 width: 12 heads: 3 hidden: 20 context: "
                                          "9 vocabulary: 31 }",
                                          tokens));
  outcome = checkpoint({"import", theirs, back + "2", "--job", (folder_ / "other.txtpb").string()});
  EXPECT_EQ(outcome.code, 65);
  EXPECT_THAT(outcome.err, HasSubstr("is of another model than the job: layers 2, the job's 3"));
}

}  // namespace
}  // namespace trireme::launcher

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "launcher/run.h"
#include "small_checkpoint.h"

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

}  // namespace
}  // namespace trireme::launcher

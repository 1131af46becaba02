#include "launcher/train/metrics_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <limits>

#include "core/base/error.h"
#include "tests/support/file_calls.h"
#include "tests/support/scratch_folder.h"

namespace trireme::launcher {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class Metrics : public testing::Test {
 protected:
  ScratchFolder folder;
  fs::path path = folder / "metrics.jsonl";

  std::string text() const { return folder.read("metrics.jsonl"); }
  // What is left of `before` to go on after `step`.
  std::string cut(const std::string& before, int64_t step) const {
    folder.write("metrics.jsonl", before);
    const MetricsLog log(path, step);
    return text();
  }
};

TEST_F(Metrics, WritesOneObjectALine) {
  MetricsLog log(path, 0);
  log.write(StepRecord{.step = 1, .epoch = 0.5, .loss = 2.25, .lr = 0.1, .applied = false});
  log.write(EvalRecord{.step = 1, .epoch = 0.5, .loss = 2, .metrics = {{"accuracy", 0.5}}});
  log.write(CheckpointRecord{.step = 1, .bytes = 10, .stall_ms = 0.5, .save_ms = 3});
  log.write(StepRecord{.step = 2, .loss = std::numeric_limits<double>::infinity()});
  EXPECT_EQ(
      text(),
      R"({"step":1,"epoch":0.5,"loss":2.25,"lr":0.1,"grad_norm":0.0,"samples_per_second":0.0,"step_ms":0.0,"applied":false}
{"step":1,"epoch":0.5,"eval_loss":2.0,"accuracy":0.5}
{"step":1,"checkpoint_bytes":10,"checkpoint_stall_ms":0.5,"checkpoint_write_ms":0.0,"checkpoint_verify_ms":0.0,"checkpoint_save_ms":3.0}
{"step":2,"epoch":0.0,"loss":null,"lr":0.0,"grad_norm":0.0,"samples_per_second":0.0,"step_ms":0.0}
)");
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(Metrics, GoesOnAfterAStep) {
  const std::string one = "{\"step\":1,\"loss\":1}\n", two = "{\"step\":2,\"loss\":1}\n",
                    eval = "{\"step\":2,\"eval_loss\":1}\n", three = "{\"step\":3,\"loss\":1}\n",
                    late = "{\"step\":2,\"checkpoint_bytes\":1}\n";
  const std::string all = one + two + eval + three + late;
  EXPECT_EQ(cut(all, 3), all);
  EXPECT_EQ(cut(all, 100), all);
  EXPECT_EQ(cut(all, 2), one + two + eval + late);
  EXPECT_EQ(cut(all, 1), one);
  EXPECT_EQ(cut(all, 0), "");
  EXPECT_EQ(cut("", 5), "");
  {
    folder.write("metrics.jsonl", all);
    MetricsLog log(path, 1);
    log.write(CheckpointRecord{.step = 2});
  }
  EXPECT_EQ(text(), one +
                        "{\"step\":2,\"checkpoint_bytes\":0,\"checkpoint_stall_ms\":0.0,"
                        "\"checkpoint_write_ms\":0.0,\"checkpoint_verify_ms\":0.0,"
                        "\"checkpoint_save_ms\":0.0}\n");
}

TEST_F(Metrics, DropsWhatIsNoWholeLine) {
  const std::string one = "{\"step\":1,\"loss\":1}\n", two = "{\"step\":2,\"loss\":1}";
  EXPECT_EQ(cut(one + two, 9), one);  // whole, but for its newline
  for (size_t length = 0; length < two.size(); ++length)
    EXPECT_EQ(cut(one + two.substr(0, length), 9), one) << length;
  EXPECT_EQ(cut(one + std::string(100, '\0'), 9), one);
  EXPECT_EQ(cut(one + std::string(100, '\0') + "\n" + two + "\n", 9), one + two + "\n");
  EXPECT_EQ(cut("\n" + one + "[1]\n{}\n{\"step\":\"1\"}\n{\"step\":1.5}\n", 9), one);
}

TEST_F(Metrics, CommunicationThatWasMeasured) {
  MetricsLog log(path, 0);
  log.write(StepRecord{.step = 1, .communication = {.seconds = 0.25, .exposed = 0.0625}});
  EXPECT_THAT(text(),
              testing::HasSubstr(R"("communication_ms":250.0,"exposed_ms":62.5,"overlap":0.75})"));
}

TEST_F(Metrics, LeavesAFileAloneFromWhichNothingGoes) {
  folder.write("metrics.jsonl", "{\"step\":1}\n");
  const FileCalls watch({});
  const MetricsLog log(path, 1);
  EXPECT_THAT(watch.calls(), testing::IsEmpty());
}

TEST_F(Metrics, AFailedCutLeavesTheOldFile) {
  const std::string before = "{\"step\":1}\n{\"step\":2}\n";
  for (size_t failing = 0; failing < 3; ++failing) {
    folder.write("metrics.jsonl", before);
    size_t number = 0;
    const FileCalls watch([&](const std::string&) { return number++ == failing ? EIO : 0; });
    EXPECT_THROW(MetricsLog(path, 1), InvalidArgument) << failing;
    EXPECT_EQ(text(), before) << failing;
  }
}

TEST_F(Metrics, AFullDiskLosesLinesAndSaysSoOnce) {
  MetricsLog log(path, 0);
  log.write(CheckpointRecord{.step = 1});
  const std::string first = text();
  {
    size_t number = 0;  // half a line is written, and then nothing more
    const FileCalls watch(
        [&](const std::string&) { return number++ == 0 ? FileCalls::kShort : ENOSPC; });
    log.write(CheckpointRecord{.step = 2});
    EXPECT_EQ(text(), first);
    log.write(CheckpointRecord{.step = 3});
  }
  const auto warning = log.warning();
  ASSERT_TRUE(warning);
  EXPECT_THAT(*warning, HasSubstr("lines are lost: No space left on device"));
  EXPECT_FALSE(log.warning());
  log.write(CheckpointRecord{.step = 4});
  EXPECT_THAT(text(), HasSubstr("}\n{\"step\":4"));
  EXPECT_EQ(std::ranges::count(text(), '\n'), 2);
  EXPECT_FALSE(log.warning());
}

TEST_F(Metrics, AShortWriteIsGoneOnWith) {
  MetricsLog log(path, 0);
  size_t number = 0;
  const FileCalls watch(
      [&](const std::string&) { return number++ % 3 != 2 ? FileCalls::kShort : 0; });
  log.write(CheckpointRecord{.step = 1});
  log.write(CheckpointRecord{.step = 2});
  EXPECT_THAT(text(), testing::MatchesRegex("\\{[^\n]*\\}\n\\{\"step\":2[^\n]*\\}\n"));
  EXPECT_GT(watch.calls().size(), 4u);
}

TEST_F(Metrics, SaysThatTheFileCannotBeWritten) {
  EXPECT_THROW(MetricsLog(folder / "none/metrics.jsonl", 0), InvalidArgument);
  fs::create_directory(path);
  EXPECT_THROW(MetricsLog(path, 0), InvalidArgument);
}

}  // namespace
}  // namespace trireme::launcher

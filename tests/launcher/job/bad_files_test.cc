// Files that are no job at all, and damage at random places.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <regex>
#include <sstream>

#include "tests/launcher/job/job_folder.h"

namespace trireme::launcher {
namespace {

const std::string kJob = std::string(kModel) + kData + kTrain + kOptimizer;

TEST(BadFiles, MissingSuggestsItsNeighbour) {
  JobFolder folder;
  folder.write("lenet5.txtpb", kJob);
  EXPECT_EQ(folder.errors_of("lent5.txtpb"),
            "lent5.txtpb:1:1: there is no such file; did you mean \"lenet5.txtpb\"?");
  EXPECT_EQ(folder.errors_of("no/where.txtpb"), "no/where.txtpb:1:1: there is no such file");
}

TEST(BadFiles, FolderAndDevice) {
  JobFolder folder;
  std::filesystem::create_directory(folder.path("jobs"));
  EXPECT_EQ(folder.errors_of("jobs"), "jobs:1:1: is a folder; name a job file in it");
  EXPECT_EQ(folder.errors_of("/dev/null"), "/dev/null:1:1: is no regular file");
}

TEST(BadFiles, LargerThan16MiB) {
  JobFolder folder;
  folder.write("a.txtpb", kJob);
  std::filesystem::resize_file(folder.path("a.txtpb"), (16 << 20) + 1);
  EXPECT_EQ(folder.errors_of("a.txtpb"),
            "a.txtpb:1:1: has 16777217 bytes, more than the 16 MiB of any job; is it a data file?");
}

TEST(BadFiles, BytesThatAreNoText) {
  JobFolder folder;
  EXPECT_EQ(folder.errors("name: \"a\"\nab" + std::string(1, '\0')),
            "a.txtpb:2:3: byte 0x00 is no text; save the file as UTF-8");
  EXPECT_EQ(folder.errors("\xff\xfen"),
            "a.txtpb:1:1: byte 0xff is no text; save the file as UTF-8");
  EXPECT_EQ(folder.errors("# \xc0\xaf\n"),
            "a.txtpb:1:3: byte 0xc0 is no text; save the file as UTF-8");
  EXPECT_EQ(folder.errors("\n# \xed\xa0\x80"),
            "a.txtpb:2:3: byte 0xed is no text; save the file as UTF-8");
  EXPECT_EQ(folder.errors("# \xe2\x82"),
            "a.txtpb:1:3: byte 0xe2 is no text; save the file as UTF-8");
}

TEST(BadFiles, TextBeyondAsciiIsFineInComments) {
  EXPECT_EQ(JobFolder().errors("\xef\xbb\xbf# na\xc3\xafve \xf0\x9f\x9a\xa3\r\n" + kJob), "");
}

TEST(BadFiles, DigitsThatWereNotMadeYet) {
  const std::string digits = "digits-train-images.idx.gz";
  EXPECT_EQ(JobFolder().errors(std::string(kModel) + kTrain + kOptimizer +
                               "data { train { idx { images: \"" + digits +
                               "\" labels: \"labels.idx\" } } }"),
            "a.txtpb:4:22: data.train.idx.images: there is no file " + digits +
                "; deploy/data.sh digits makes it");
}

TEST(BadFiles, DepthIsNoRecursion) {
  std::string deep = kJob + "x ";
  for (int i = 0; i < 200000; ++i) deep += "{ a [ ";
  EXPECT_THAT(JobFolder().errors(deep), testing::StartsWith("a.txtpb:5:1: unknown field \"x\""));
}

TEST(BadFiles, StopsWhenTheFileIsSomethingElse) {
  std::string lines;
  for (int i = 0; i < 1000; ++i) lines += "not_a_field: 1\n";
  const std::string errors = JobFolder().errors(lines);
  EXPECT_EQ(std::count(errors.begin(), errors.end(), '\n'), 50);
  EXPECT_THAT(errors,
              testing::EndsWith("a.txtpb:50:1: too many errors; the rest was not looked at"));
}

// Deletes, doubles, swaps and replaces bytes and words of a job that uses most of the schema.
class Damage {
 public:
  explicit Damage(unsigned seed) : random_(seed) {}

  std::string operator()(std::string text) {
    const int times = 1 + pick(4);
    for (int i = 0; i < times && !text.empty(); ++i) once(text);
    return text;
  }

 private:
  int pick(size_t n) { return static_cast<int>(random_() % n); }

  void once(std::string& text) {
    static const char kBytes[] = "{}[]\"':,;.-+0189eExX_#\\/ \n\tabz\x01\x7f\xc3\xff";
    static const std::string kWords[] = {
        "{",  "}",     "]",   "layer {", "inf", "-", "1e999", "0x", "99999999999999999999",
        "\"", "train", ": {", "\0"};
    const int at = pick(text.size());
    const int length = std::min<int>(1 + pick(12), static_cast<int>(text.size()) - at);
    switch (pick(6)) {
      case 0:
        text.erase(at, length);
        break;
      case 1:
        text.insert(at, text.substr(at, length));
        break;
      case 2:
        text[at] = kBytes[pick(sizeof(kBytes))];
        break;
      case 3:
        text.insert(at, 1, kBytes[pick(sizeof(kBytes))]);
        break;
      case 4:
        text.insert(at, " " + kWords[pick(std::size(kWords))] + " ");
        break;
      case 5:
        std::swap(text[at], text[pick(text.size())]);
        break;
    }
  }

  std::mt19937 random_;
};

TEST(BadFiles, DamageIsAlwaysPlacedAndNeverFatal) {
  const std::string job = R"(name: "all"
model {
  layer { name: "conv1" conv2d { outputs: 6 kernel: [5, 5] pad: 2 activation: RELU } }
  layer { name: "pool1" max_pool2d { kernel: 2 } }
  layer { name: "sum" input: ["pool1", "pool1"] add {} }
  layer { name: "fc" linear { outputs: 10 init { normal { stddev: 0.1 } } } }
  layer { name: "loss" softmax_cross_entropy { label_smoothing: 0.1 } }
}
data { train { idx { images: "images.idx" labels: 'labels.idx' } } validation_fraction: 0.1 }
train { global_batch: 8 micro_batch: 2 epochs: 1 seed: 7 precision: FP32 }
optimizer { adamw { lr: 1e-3 beta1: .9 } clip_norm: 1 group { match: "*/bias" frozen: true } }
schedule { cosine { warmup_steps: 10 } }  # comment
)";
  JobFolder folder;
  ASSERT_EQ(folder.errors(job), "");
  const std::regex placed(R"(a\.txtpb:[1-9]\d*:[1-9]\d*: .+)");
  int refused = 0;
  for (unsigned seed = 0; seed < 2000; ++seed) {
    const std::string damaged = Damage(seed)(job);
    std::istringstream lines(folder.errors(damaged));
    refused += lines.peek() != EOF;
    for (std::string line; std::getline(lines, line);)
      ASSERT_TRUE(std::regex_match(line, placed)) << seed << "\n" << line << "\n" << damaged;
  }
  EXPECT_GT(refused, 1500);
}

}  // namespace
}  // namespace trireme::launcher

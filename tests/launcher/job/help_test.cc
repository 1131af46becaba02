#include "launcher/job/help.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"

namespace trireme::launcher {
namespace {

std::string refusal(const std::string& path) {
  try {
    return help(path);
  } catch (const InvalidArgument& error) {
    return error.what();
  }
}

TEST(Help, OfAField) {
  EXPECT_EQ(help("train.micro_batch"), R"(train.micro_batch: int64
    Samples that a rank computes at a time; gradients are added up until its share of the global
    batch is done. 0: the whole share at once; with determinism LAYOUT, a virtual shard. Default: 0.
)");
}

TEST(Help, OfAnEnum) {
  EXPECT_EQ(help("train.determinism"), R"(train.determinism: RUN | NONE | LAYOUT
    Which runs give the same bits. Default: RUN.

  RUN
      The same layout twice gives the same bits.
  NONE
      Whatever is fastest.
  LAYOUT
      The same bits at any data, pipeline and ZeRO degree; on CPUs. docs/determinism.md.
)");
}

TEST(Help, OfAMessage) {
  EXPECT_EQ(help("data.train"), R"(data.train: { ... }
    Samples to train on. Required.

  one of
    idx: { ... }
        Images and labels in files of MNIST's format, plain or .gz.
    synthetic: { ... }
        Classes that can be learnt, made from a seed: needs no files.
    tokens: { ... }
        Language, as files of token numbers.
    text: { ... }
        Language, as plain text: each byte is a token.
    custom: { ... }
        A dataset that an outside program brings.
)");
}

TEST(Help, OfTheJob) {
  const std::string top = help();
  for (const char* field :
       {"name: string", "model: {", "data: {", "train: {", "optimizer: {", "schedule: {",
        "parallel: {", "logging: {", "checkpoint: {", "deadlines: {"})
    EXPECT_THAT(top, testing::HasSubstr(std::string("\n  ") + field));
}

TEST(Help, ListsNeedNoIndex) {
  EXPECT_EQ(help("model.layer[2].conv2d.kernel"),
            "model.layer.conv2d.kernel: list of int64\n    Extent of the window. Required.\n");
}

TEST(Help, OfNothing) {
  EXPECT_EQ(refusal("train.sed"),
            "help train.sed: unknown field \"sed\" of train; did you mean \"seed\"?");
  EXPECT_EQ(refusal("train.seed.x"), "help train.seed.x: train.seed has no fields");
  EXPECT_EQ(refusal("train."),
            "help train.: unknown field \"\" of train; its fields: global_batch, "
            "micro_batch, epochs, steps, seed, precision, determinism, "
            "recompute, memory_limit_mib, initial, eval_every_steps, non_finite, "
            "replica_check_every_steps, average, early_stop, virtual_shards, threads");
}

}  // namespace
}  // namespace trireme::launcher

#include "launcher/tokenizer/write_tokens.h"

#include <gtest/gtest.h>

#include "launcher/data/tokens.h"
#include "tests/launcher/data/data_files.h"

namespace trireme::launcher {
namespace {

using WriteTokens = DataFiles;

TEST_F(WriteTokens, ShardsAreTheTextAgain) {
  Bytes text;
  for (int i = 0; i < (3 << 19); ++i) text.push_back(static_cast<uint8_t>(7 * i + i / 256));
  write("a.txt", text);
  for (ShardFormat format : {ShardFormat::kLlmc, ShardFormat::kNanoGpt}) {
    testing::internal::CaptureStdout();
    write_tokens({.text = path("a.txt"), .out = path("a.bin"), .format = format});
    EXPECT_EQ(testing::internal::GetCapturedStdout(),
              path("a.bin") + ": 1572864 tokens, vocabulary 256\n");
    EXPECT_EQ(std::filesystem::file_size(path("a.bin")),
              2 * text.size() + (format == ShardFormat::kLlmc ? 1024 : 0));
    const TokenFile shard(File(path("a.bin")), TokenContent::kShard);
    std::vector<int32_t> tokens(text.size());
    ASSERT_EQ(shard.tokens(), static_cast<int64_t>(text.size()));
    shard.read(0, 256, tokens);
    EXPECT_TRUE(std::equal(text.begin(), text.end(), tokens.begin()));
  }
}

TEST_F(WriteTokens, RefusesInOneLineAndLeavesNothing) {
  EXPECT_EQ(bad_data_message([&] {
              write_tokens({path("none.txt"), path("a.bin")});
            }),
            "[data] " + path("none.txt") + ": cannot be opened: No such file or directory");
  std::filesystem::resize_file(write("large.txt", {}), uintmax_t{1} << 31);
  EXPECT_EQ(
      bad_data_message([&] {
        write_tokens({path("large.txt"), path("a.bin")});
      }),
      "[tokens] " + path("large.txt") +
          ": a shard of llm.c's layout holds at most 2147483647 tokens, got 2147483648; split "
          "the text, or use --format nanogpt");
  EXPECT_FALSE(std::filesystem::exists(path("a.bin")));
}

}  // namespace
}  // namespace trireme::launcher

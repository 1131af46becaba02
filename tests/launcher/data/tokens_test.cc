#include "launcher/data/tokens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "launcher/data/loader.h"
#include "launcher/data/open.h"
#include "tests/launcher/data/data_files.h"

namespace trireme::launcher {
namespace {

using testing::HasSubstr;

void append_little_endian(Bytes& bytes, uint64_t value, int width) {
  for (int i = 0; i < width; ++i) bytes.push_back(static_cast<uint8_t>(value >> 8 * i));
}

// Tokens 7 i mod 997: no two neighbours alike, no period of a window.
int32_t token_at(int64_t i) { return static_cast<int32_t>(7 * i % 997); }

Bytes nanogpt_shard(int64_t tokens) {
  Bytes bytes;
  for (int64_t i = 0; i < tokens; ++i) append_little_endian(bytes, token_at(i), 2);
  return bytes;
}

Bytes llmc_shard(int64_t tokens, uint32_t stated, uint32_t magic = 20240520, uint32_t version = 1) {
  Bytes bytes;
  for (uint32_t word : {magic, version, stated}) append_little_endian(bytes, word, 4);
  bytes.resize(1024);
  return joined(bytes, nanogpt_shard(tokens));
}

struct Window {
  std::vector<int32_t> tokens, labels;
};

Window read(const Dataset& dataset, int64_t index) {
  const auto length = static_cast<size_t>(dataset.feature_shape().elements());
  Window out{std::vector<int32_t>(length), std::vector<int32_t>(length)};
  dataset.read(
      index, {.features = {}, .label = out.labels[0], .tokens = out.tokens, .labels = out.labels});
  return out;
}

class Tokens : public DataFiles {
 protected:
  TokensOptions options(const Bytes& shard, int64_t context = 8) const {
    return {.files = {write("a.bin", shard)}, .vocabulary = 997, .context = context};
  }
  std::string message(const Bytes& shard, int64_t context = 8) const {
    std::string text = bad_data_message([&] { TokenDataset(options(shard, context)); });
    const std::string folder = path("");
    for (size_t at; (at = text.find(folder)) != std::string::npos;) text.erase(at, folder.size());
    return text;
  }
};

TEST_F(Tokens, WindowsAndTheirLabelsShiftedByOne) {
  for (const Bytes& shard : {nanogpt_shard(100), llmc_shard(100, 100)})
    for (int64_t context : {1, 7, 33, 99}) {
      const TokenDataset dataset(options(shard, context));
      ASSERT_EQ(dataset.size(), 99 / context);
      for (int64_t n = 0; n < dataset.size(); ++n) {
        const Window window = read(dataset, n);
        for (int64_t i = 0; i < context; ++i) {
          EXPECT_EQ(window.tokens[i], token_at(n * context + i));
          EXPECT_EQ(window.labels[i], token_at(n * context + i + 1));
        }
      }
    }
}

TEST_F(Tokens, LongerThanAChunk) {
  const TokenDataset dataset(options(nanogpt_shard(10001), 5000));
  const Window window = read(dataset, 1);
  for (int64_t i = 0; i < 5000; ++i) ASSERT_EQ(window.tokens[i], token_at(5000 + i));
  EXPECT_EQ(window.labels.back(), token_at(10000));
}

TEST_F(Tokens, FilesInOrderEachByItself) {
  write("b-10.bin", nanogpt_shard(17));  // two windows
  write("b-02.bin", llmc_shard(9, 9));   // one
  const TokenDataset dataset(
      TokensOptions{.files = {path("b-*.bin")}, .vocabulary = 997, .context = 8});
  ASSERT_EQ(dataset.size(), 3);
  EXPECT_EQ(read(dataset, 0).labels[7], token_at(8));
  EXPECT_EQ(read(dataset, 1).tokens[0], token_at(0));
  EXPECT_EQ(read(dataset, 2).tokens[0], token_at(8));
  EXPECT_THAT(dataset.name(), testing::EndsWith("b-02.bin and 1 more"));
}

// A hole costs no disk: offsets beyond 32 bits must reach the right bytes.
TEST_F(Tokens, BeyondTwoGigabytes) {
  const int64_t tokens = (int64_t{5} << 30) / 2 + 8;
  const std::string file = write("a.bin", {});
  std::filesystem::resize_file(file, static_cast<uintmax_t>(2 * tokens));
  {
    std::fstream out(file, std::ios::binary | std::ios::in | std::ios::out);
    out.seekp(2 * (tokens - 9));
    const Bytes end = nanogpt_shard(9);
    out.write(reinterpret_cast<const char*>(end.data()), static_cast<int64_t>(end.size()));
  }
  const TokenDataset dataset(TokensOptions{.files = {file}, .vocabulary = 997, .context = 1});
  ASSERT_EQ(dataset.size(), tokens - 1);
  for (int64_t i = 0; i < 8; ++i) {
    const Window window = read(dataset, tokens - 9 + i);
    EXPECT_EQ(window.tokens[0], token_at(i));
    EXPECT_EQ(window.labels[0], token_at(i + 1));
  }
}

TEST_F(Tokens, TextIsItsBytes) {
  const std::string text = "Every byte \xc3\xa9 counts.\n";
  const TokenDataset dataset(
      TextOptions{.files = {write("a.txt", Bytes(text.begin(), text.end()))}, .context = 5});
  EXPECT_EQ(dataset.classes(), 256);
  EXPECT_EQ(dataset.feature_type(), core::DType::kI32);
  for (int64_t n = 0; n < dataset.size(); ++n)
    for (size_t i = 0; i < 5; ++i) {
      EXPECT_EQ(read(dataset, n).tokens[i], static_cast<uint8_t>(text[n * 5 + i]));
      EXPECT_EQ(read(dataset, n).labels[i], static_cast<uint8_t>(text[n * 5 + i + 1]));
    }
}

TEST_F(Tokens, IdentityIsOfWhatIsRead) {
  const auto identity = [&](Bytes shard, int64_t context = 8) {
    return TokenDataset(options(shard, context)).identity();
  };
  const Bytes shard = nanogpt_shard(100);
  EXPECT_EQ(identity(shard), identity(llmc_shard(100, 100)));
  EXPECT_NE(identity(shard), identity(shard, 9));
  EXPECT_NE(identity(shard), identity(nanogpt_shard(98)));
  Bytes other = shard;
  other[90] ^= 1;
  EXPECT_NE(identity(shard), identity(other));
}

TEST_F(Tokens, LoaderFillsTokensLabelsAndPadding) {
  const auto dataset = std::make_shared<TokenDataset>(options(nanogpt_shard(41), 8));  // 5 windows
  Loader loader(dataset, std::make_shared<SequentialSampler>(5),
                {.global_batch = 4, .micro_batch = 4}, ordinary_memory());
  loader.start(0, 2);
  for (int64_t step = 0; step < 2; ++step) {
    const Batch& batch = loader.next();
    ASSERT_EQ(batch.tokens.size(), 32u);
    ASSERT_EQ(batch.labels.size(), 32u);
    EXPECT_EQ(batch.data(), batch.tokens.data());
    EXPECT_TRUE(batch.features.empty());
    for (int64_t i = 0; i < 32; ++i) {
      const int64_t position = step * 32 + i;
      EXPECT_EQ(batch.tokens[i], position < 40 ? token_at(position) : 0);
      EXPECT_EQ(batch.labels[i], position < 40 ? token_at(position + 1) : 0);
      EXPECT_EQ(batch.weights[i / 8], position / 8 < 5 ? 1 : 0);
    }
    loader.release();
  }
}

TEST_F(Tokens, SplitKeepsTypes) {
  const DataSets data =
      open_data({.train = options(nanogpt_shard(100)), .validation_fraction = 0.25}, 1);
  EXPECT_EQ(data.train->feature_type(), core::DType::kI32);
  EXPECT_EQ(data.eval->label_shape(), core::Shape{8});
  EXPECT_EQ(data.train->size() + data.eval->size(), 12);
}

TEST_F(Tokens, RefusesInOneLine) {
  EXPECT_EQ(message(first_bytes(nanogpt_shard(100), 199)),
            "[tokens] a.bin: expects tokens of 2 bytes each, got a file of 199: truncated, or no "
            "token file");
  EXPECT_EQ(message(first_bytes(llmc_shard(100, 100), 1221)),
            "[tokens] a.bin: 100 tokens expect a file of 1224 bytes, got 1221: truncated by 3 "
            "bytes");
  EXPECT_EQ(message(llmc_shard(100, 90)),
            "[tokens] a.bin: 90 tokens expect a file of 1204 bytes, got 1224: 20 bytes too many");
  EXPECT_EQ(message(first_bytes(llmc_shard(100, 100), 500)),
            "[tokens] a.bin: expects a header of 1024 bytes, got a file of 500");
  EXPECT_EQ(message(first_bytes(llmc_shard(100, 100), 6)),
            "[tokens] a.bin: expects a header of 1024 bytes, got a file of 6");
  EXPECT_EQ(message(llmc_shard(100, 100, 20240520, 2)),
            "[tokens] a.bin: expects version 1 of llm.c's layout, got 2");
  EXPECT_EQ(message(llmc_shard(4, 0xffffffff)),
            "[tokens] a.bin: 4294967295 tokens expect a file of 8589935614 bytes, got 1032: "
            "truncated by 8589934582 bytes");
  EXPECT_EQ(message(nanogpt_shard(100), 100),
            "[tokens] a.bin: a context of 100 expects at least 101 tokens, got 100");
  EXPECT_EQ(message(llmc_shard(0, 0)),
            "[tokens] a.bin: a context of 8 expects at least 9 tokens, got 0");
  EXPECT_EQ(message({}), "[data] a.bin: expects a data file, got an empty file");
}

TEST_F(Tokens, RefusesTokensBeyondTheVocabulary) {
  Bytes shard = nanogpt_shard(100);
  shard[2 * 80 + 1] = 0xff;
  EXPECT_EQ(message(shard),
            "[tokens] a.bin: token 65328 at position 80 is not below the vocabulary, 997");
}

// A window that the identity does not look at.
TEST_F(Tokens, LoaderNamesTheSampleOfABadToken) {
  Bytes shard = nanogpt_shard(10001);
  shard[2 * 5001 + 1] = 0xff;
  const auto dataset = std::make_shared<TokenDataset>(options(shard, 10));
  Loader loader(dataset, std::make_shared<SequentialSampler>(1000),
                {.global_batch = 1000, .micro_batch = 1000}, ordinary_memory());
  loader.start(0);
  EXPECT_THAT(bad_data_message([&] { loader.next(); }),
              HasSubstr("token 65392 at position 5001 is not below the vocabulary, 997"));
}

}  // namespace
}  // namespace trireme::launcher

#include "launcher/tokenizer/tokenizer.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "launcher/data/token_file.h"
#include "launcher/tokenizer/write_tokens.h"
#include "tests/launcher/data/data_files.h"

namespace trireme::launcher {
namespace {

using nlohmann::json;

json goldens() {
  return json::parse(std::ifstream(TRIREME_SOURCE_ROOT "/tests/goldens/tokenizers.json"));
}

class Tokenizers : public DataFiles {
 protected:
  std::string write_json(const json& tokenizer) {
    std::ofstream(path("tokenizer.json")) << tokenizer.dump();
    return std::filesystem::path(path("tokenizer.json")).parent_path();
  }
  std::string refusal(const json& tokenizer) {
    const std::string folder = write_json(tokenizer);
    return bad_data_message([&] { Tokenizer{folder}; });
  }
};

TEST_F(Tokenizers, GiveTheTokensOfHuggingFace) {
  const json all = goldens();
  for (const char* kind : {"gpt2", "llama3"}) {
    const Tokenizer tokenizer(write_json(all[kind]["tokenizer"]));
    EXPECT_EQ(tokenizer.vocabulary(), 400);
    ASSERT_GE(all[kind]["cases"].size(), 100);
    for (const json& one : all[kind]["cases"]) {
      const std::string text = one[0];
      const std::vector<int32_t> tokens = tokenizer.encode(text);
      EXPECT_EQ(tokens, one[1].get<std::vector<int32_t>>()) << kind << ": " << text;
      std::string again;
      for (int32_t token : tokens) again += tokenizer.bytes(token);
      EXPECT_EQ(again, text);
    }
  }
}

// The same tokenizer as the two files of GPT-2.
TEST_F(Tokenizers, ReadVocabularyAndMerges) {
  const json gpt2 = goldens()["gpt2"];
  std::ofstream(path("vocab.json")) << gpt2["tokenizer"]["model"]["vocab"].dump();
  std::ofstream merges(path("merges.txt"));
  merges << "#version: 0.2\n";
  for (const json& merge : gpt2["tokenizer"]["model"]["merges"])
    merges << merge[0].get<std::string>() << ' ' << merge[1].get<std::string>() << '\n';
  merges.close();
  const Tokenizer tokenizer(std::filesystem::path(path("vocab.json")).parent_path());
  for (const json& one : gpt2["cases"])
    EXPECT_EQ(tokenizer.encode(one[0].get<std::string>()), one[1].get<std::vector<int32_t>>());
}

TEST_F(Tokenizers, TakeBytesThatAreNoText) {
  const Tokenizer tokenizer(write_json(goldens()["gpt2"]["tokenizer"]));
  const std::string broken = "caf\xC3 \xFF\xFE\x80 end\xE2\x82";
  std::string again;
  for (int32_t token : tokenizer.encode(broken)) again += tokenizer.bytes(token);
  EXPECT_EQ(again, broken);
  EXPECT_EQ(tokenizer.bytes(-1), "");
  EXPECT_EQ(tokenizer.bytes(400), "");
}

// A file is read in parts: their tokens are those of the whole.
TEST_F(Tokenizers, ALargeTextHasTheTokensOfTheWhole) {
  const std::string folder = write_json(goldens()["llama3"]["tokenizer"]);
  std::string text;
  for (int i = 0; text.size() < (9u << 19); ++i)
    text += fmt::format("word{} don't  stop,\n\n \t{} ", i, i * 7919);
  std::ofstream(path("a.txt")) << text;
  testing::internal::CaptureStdout();
  write_tokens({.text = path("a.txt"), .out = path("a.bin"), .tokenizer = folder});
  const std::vector<int32_t> whole = Tokenizer(folder).encode(text);
  EXPECT_EQ(testing::internal::GetCapturedStdout(),
            fmt::format("{}: {} tokens, vocabulary 400\n", path("a.bin"), whole.size()));
  const TokenFile shard(File(path("a.bin")), TokenContent::kShard);
  ASSERT_EQ(shard.tokens(), std::ssize(whole));
  std::vector<int32_t> tokens(whole.size());
  shard.read(0, 400, tokens);
  EXPECT_EQ(tokens, whole);
}

TEST_F(Tokenizers, RefuseWhatTheyDoNotKnow) {
  const json good = goldens()["gpt2"]["tokenizer"];
  const auto with = [&](const char* pointer, const json& value) {
    json changed = good;
    changed[json::json_pointer(pointer)] = value;
    return refusal(changed);
  };
  const std::string file = "[tokenizer] " + path("tokenizer.json") + ": ";
  EXPECT_EQ(with("/model/type", "Unigram"),
            file + "its model is no byte-level BPE, the only kind that is known");
  EXPECT_EQ(with("/model/byte_fallback", true),
            file + "its model is no byte-level BPE, the only kind that is known");
  EXPECT_EQ(with("/model/dropout", 0.1), file + "its model has a dropout, which is not known");
  EXPECT_EQ(with("/normalizer", {{"type", "NFC"}}),
            file + "it normalizes text (NFC), which is not known");
  EXPECT_EQ(with("/pre_tokenizer", {{"type", "Whitespace"}}),
            file + "it splits text in a way that is not known: Whitespace");
  EXPECT_EQ(with("/pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", json::array()}}),
            file + "nothing in it turns text into bytes (ByteLevel)");
  EXPECT_EQ(with("/model/vocab/zz", -3),
            file + "expects numbers of tokens in [0, 16777216), got -3");
  EXPECT_EQ(with("/model/merges/0", "ab"), file + "expects merges of two parts, got 'ab'");
  EXPECT_EQ(with("/added_tokens/0/lstrip", true),
            file + "'<|endoftext|>' has lstrip, which is not known");
  EXPECT_TRUE(with("/model", 3).starts_with(file + "is damaged: "));
}

TEST_F(Tokenizers, RefuseMergesAndPatternsThatCannotBe) {
  const json good = goldens()["llama3"]["tokenizer"];
  const std::string folder = write_json(good);
  json changed = good;
  changed["model"]["merges"][1] = {"never", "there"};
  EXPECT_EQ(refusal(changed), "[tokenizer] " + folder +
                                  ": a part of merge 2, or what it makes, is no token of the "
                                  "vocabulary");
  changed = good;
  changed["model"]["vocab"].erase("A");
  changed["model"]["merges"] = json::array();
  EXPECT_EQ(refusal(changed), "[tokenizer] " + folder + ": byte 65 is no token of the vocabulary");
  changed = good;
  changed["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = "(unclosed";
  EXPECT_EQ(refusal(changed), "[tokenizer] " + folder +
                                  ": the pattern '(unclosed' cannot be used: missing closing "
                                  "parenthesis");
  EXPECT_EQ(bad_data_message([] { Tokenizer{"/nowhere"}; }),
            "[tokenizer] /nowhere/vocab.json: cannot be opened; a tokenizer's folder has "
            "tokenizer.json, or vocab.json and merges.txt");
}

}  // namespace
}  // namespace trireme::launcher

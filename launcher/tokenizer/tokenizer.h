// Text as the tokens of a Hugging Face folder with a byte-level BPE, such as GPT-2's or Llama 3's:
// tokenizer.json, or else vocab.json and merges.txt.
//
// Gives what transformers gives without its special tokens added. Kinds of tokenizers that this
// does not know are refused, not guessed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "launcher/tokenizer/byte_pairs.h"
#include "launcher/tokenizer/splitter.h"

namespace trireme::launcher {

// What a folder says.
struct TokenizerFiles {
  BytePairs::Vocabulary vocabulary;
  std::vector<BytePairs::Merge> merges;
  std::unordered_map<std::string, int32_t> added;  // found in a text before all else
  std::vector<std::string> patterns;               // of the splits, one after the other
  bool leading_blank = false;                      // a text begins with one
  bool whole_first = false;                        // byte_pairs.h
};

// Throws InvalidArgument (kBadData), in one line with the file, for files that are missing or
// damaged and for kinds of tokenizers that are none of ours.
TokenizerFiles read_tokenizer(const std::filesystem::path& folder);

class Tokenizer {
 public:
  // Throws as read_tokenizer does.
  explicit Tokenizer(const std::filesystem::path& folder);

  std::vector<int32_t> encode(std::string_view text) const;
  // The bytes of a token; none for a number that is no token's. They may be a part of a character.
  std::string_view bytes(int32_t token) const;
  int64_t vocabulary() const { return static_cast<int64_t>(tokens_.size()); }  // above all numbers

 private:
  Tokenizer(TokenizerFiles files, const std::filesystem::path& folder);
  void encode_plain(std::string_view text, std::vector<int32_t>& tokens) const;

  std::vector<std::string> tokens_;  // by number
  std::unordered_map<std::string, int32_t> added_;
  bool leading_blank_;
  std::vector<Splitter> splitters_;
  std::optional<BytePairs> pairs_;
};

}  // namespace trireme::launcher

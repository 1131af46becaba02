// Byte-pair encoding: the bytes of a piece of text, joined pair by pair in the order in which the
// pairs were learnt.
//
// Source: Sennrich et al. 2016, "Neural machine translation of rare words with subword units"; on
// bytes: Radford et al. 2019 (GPT-2).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace trireme::launcher {

class BytePairs {
 public:
  using Vocabulary = std::unordered_map<std::string, int32_t>;  // a token's bytes: its number
  using Merge = std::pair<std::string, std::string>;            // of the bytes of two tokens

  // `whole_first`: a piece that is a token is that token, whatever the merges say.
  // Throws InvalidArgument if a byte has no token, or a merge names or makes a token that is none.
  BytePairs(Vocabulary vocabulary, const std::vector<Merge>& merges, bool whole_first);

  // Appends the tokens of `piece`.
  void encode(std::string_view piece, std::vector<int32_t>& tokens) const;

 private:
  struct Join {
    int32_t rank, token;
  };

  void merge(std::vector<int32_t>& parts) const;
  const Join* join_of(int32_t left, int32_t right) const;

  Vocabulary vocabulary_;
  std::unordered_map<uint64_t, Join> joins_;
  std::array<int32_t, 256> bytes_{};
  bool whole_first_;
};

}  // namespace trireme::launcher

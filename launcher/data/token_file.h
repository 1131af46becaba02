// One shard of token numbers, read where it lies: files may be larger than memory.
//
//   nanoGPT   u16, little-endian, and nothing else
//   llm.c     256 x i32: 20240520, version 1, the number of tokens, then zeroes; then u16
//   text      every byte is a token
//
// The header, if there is one, must state the size that the file has.
// Source: https://github.com/karpathy/nanoGPT data/openwebtext/prepare.py,
// https://github.com/karpathy/llm.c dev/data/data_common.py.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "launcher/data/byte_source.h"

namespace trireme::launcher {

enum class TokenContent : uint8_t { kShard, kText };

inline constexpr int32_t kLlmcMagic = 20240520;
inline constexpr int32_t kLlmcVersion = 1;
inline constexpr int64_t kLlmcHeaderBytes = 1024;

class TokenFile {
 public:
  // Throws InvalidArgument (kBadData), in one line with the file, if it is no file, or a shard that
  // is truncated, too long, of an odd size or of another version.
  TokenFile(File file, TokenContent content);

  int64_t tokens() const { return tokens_; }
  const std::string& path() const { return file_.path(); }

  // Tokens [first, first + out.size()), which exist. Thread-safe; allocates nothing.
  // Throws InvalidArgument (kBadData) for a token that is not below `vocabulary`, with its place,
  // and if the file has been cut short since.
  void read(int64_t first, int64_t vocabulary, std::span<int32_t> out) const;

 private:
  void read_chunk(int64_t first, int64_t vocabulary, std::span<int32_t> out) const;

  File file_;
  int64_t token_bytes_;
  int64_t header_bytes_ = 0;
  int64_t tokens_ = 0;
};

}  // namespace trireme::launcher

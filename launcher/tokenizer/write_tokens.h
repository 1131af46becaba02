// `trireme data tokens`: text as a shard of tokens, one a byte, or a tokenizer's.
#pragma once

#include <cstdint>
#include <filesystem>

namespace trireme::launcher {

enum class ShardFormat : uint8_t { kLlmc, kNanoGpt };  // token_file.h

struct WriteTokensArguments {
  std::filesystem::path text, out;
  std::filesystem::path tokenizer;  // a folder, as of tokenizer.h; empty: every byte is a token
  ShardFormat format = ShardFormat::kLlmc;
};

// Prints one line. The shard appears whole or not at all.
// Throws InvalidArgument (kBadData) if the text or the tokenizer cannot be read, if a token is
// above what 16 bits hold, or if there are more than the layout's header can state; SystemError if
// the shard cannot be written.
void write_tokens(const WriteTokensArguments& arguments);

}  // namespace trireme::launcher

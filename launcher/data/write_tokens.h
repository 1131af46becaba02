// `trireme data tokens`: text as a shard of tokens, one a byte.
#pragma once

#include <cstdint>
#include <filesystem>

namespace trireme::launcher {

enum class ShardFormat : uint8_t { kLlmc, kNanoGpt };  // token_file.h

struct WriteTokensArguments {
  std::filesystem::path text, out;
  ShardFormat format = ShardFormat::kLlmc;
};

// Prints one line. The shard appears whole or not at all.
// Throws InvalidArgument (kBadData) if the text cannot be read, or has more bytes than the layout's
// header can state; SystemError if the shard cannot be written.
void write_tokens(const WriteTokensArguments& arguments);

}  // namespace trireme::launcher

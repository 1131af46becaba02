#include "launcher/data/write_tokens.h"

#include <fmt/format.h>

#include <limits>
#include <vector>

#include "launcher/base/atomic.h"
#include "launcher/data/byte_source.h"
#include "launcher/data/errors.h"
#include "launcher/data/token_file.h"

namespace trireme::launcher {
namespace {

constexpr size_t kChunk = 1 << 20;

void put_i32(std::vector<uint8_t>& header, size_t word, int64_t value) {
  for (size_t i = 0; i < 4; ++i)
    header[4 * word + i] = static_cast<uint8_t>(static_cast<uint64_t>(value) >> 8 * i);
}

void write_header(AtomicFile& out, const File& text) {
  if (text.bytes() > std::numeric_limits<int32_t>::max())
    bad_data(
        "[tokens] {}: a shard of llm.c's layout holds at most 2147483647 tokens, got {}; "
        "split the text, or use --format nanogpt",
        text.path(), text.bytes());
  std::vector<uint8_t> header(kLlmcHeaderBytes);
  put_i32(header, 0, kLlmcMagic);
  put_i32(header, 1, kLlmcVersion);
  put_i32(header, 2, text.bytes());
  out.write(header.data(), kLlmcHeaderBytes);
}

}  // namespace

void write_tokens(const WriteTokensArguments& arguments) {
  const File text(arguments.text.string());
  AtomicFile out(arguments.out);
  if (arguments.format == ShardFormat::kLlmc) write_header(out, text);
  std::vector<uint8_t> bytes(kChunk), tokens(2 * kChunk);
  for (int64_t done = 0; done < text.bytes();) {
    const size_t got = text.read_at(done, bytes);
    if (got == 0) bad_data("[tokens] {}: was cut short while it was read", text.path());
    for (size_t i = 0; i < got; ++i) tokens[2 * i] = bytes[i];
    out.write(tokens.data(), static_cast<int64_t>(2 * got));
    done += static_cast<int64_t>(got);
  }
  out.commit();
  fmt::print("{}: {} tokens, vocabulary 256\n", arguments.out.string(), text.bytes());
}

}  // namespace trireme::launcher

#include "launcher/data/token_file.h"

#include <algorithm>
#include <array>

#include "launcher/data/errors.h"

namespace trireme::launcher {
namespace {

int64_t little_endian(std::span<const uint8_t> bytes) {
  int64_t value = 0;
  for (size_t i = bytes.size(); i-- > 0;) value = value << 8 | bytes[i];
  return value;
}

bool has_llmc_header(const File& file) {
  std::array<uint8_t, 4> magic{};
  return file.read_at(0, magic) == magic.size() && little_endian(magic) == kLlmcMagic;
}

// The tokens that an llm.c shard's header states and its size confirms.
int64_t llmc_tokens(const File& file) {
  std::array<uint8_t, 12> header{};
  if (file.read_at(0, header) < header.size() || file.bytes() < kLlmcHeaderBytes)
    bad_data("[tokens] {}: expects a header of {} bytes, got a file of {}", file.path(),
             kLlmcHeaderBytes, file.bytes());
  const int64_t version = little_endian(std::span(header).subspan(4, 4));
  const int64_t tokens = little_endian(std::span(header).subspan(8, 4));
  if (version != kLlmcVersion)
    bad_data("[tokens] {}: expects version {} of llm.c's layout, got {}", file.path(), kLlmcVersion,
             version);
  const int64_t expected = kLlmcHeaderBytes + 2 * tokens;
  if (file.bytes() != expected)
    bad_data("[tokens] {}: {} tokens expect a file of {} bytes, got {}: {}", file.path(), tokens,
             expected, file.bytes(),
             file.bytes() < expected ? fmt::format("truncated by {} bytes", expected - file.bytes())
                                     : fmt::format("{} bytes too many", file.bytes() - expected));
  return tokens;
}

}  // namespace

TokenFile::TokenFile(File file, TokenContent content)
    : file_(std::move(file)), token_bytes_(content == TokenContent::kText ? 1 : 2) {
  if (content == TokenContent::kShard && has_llmc_header(file_)) {
    tokens_ = llmc_tokens(file_);
    header_bytes_ = kLlmcHeaderBytes;
    return;
  }
  if (file_.bytes() % token_bytes_ != 0)
    bad_data(
        "[tokens] {}: expects tokens of {} bytes each, got a file of {}: truncated, or no "
        "token file",
        file_.path(), token_bytes_, file_.bytes());
  tokens_ = file_.bytes() / token_bytes_;
}

void TokenFile::read(int64_t first, int64_t vocabulary, std::span<int32_t> out) const {
  constexpr size_t kChunk = 2048;
  for (size_t done = 0; done < out.size(); done += kChunk)
    read_chunk(first + static_cast<int64_t>(done), vocabulary,
               out.subspan(done, std::min(kChunk, out.size() - done)));
}

// The bytes lie in the last part of `out` until each token takes its place, front to back: a token
// is never wider than its place, so none is overwritten before it was read.
void TokenFile::read_chunk(int64_t first, int64_t vocabulary, std::span<int32_t> out) const {
  const size_t width = static_cast<size_t>(token_bytes_);
  const auto room = std::span(reinterpret_cast<uint8_t*>(out.data()), out.size_bytes());
  const std::span<uint8_t> raw = room.last(width * out.size());
  const size_t got = file_.read_at(header_bytes_ + first * token_bytes_, raw);
  if (got < raw.size())
    bad_data("[tokens] {}: expects {} bytes from token {} on, got {}: was the file changed?",
             path(), raw.size(), first, got);
  for (size_t i = 0; i < out.size(); ++i) {
    const int64_t token = little_endian(raw.subspan(i * width, width));
    if (token >= vocabulary)
      bad_data("[tokens] {}: token {} at position {} is not below the vocabulary, {}", path(),
               token, first + static_cast<int64_t>(i), vocabulary);
    out[i] = static_cast<int32_t>(token);
  }
}

}  // namespace trireme::launcher

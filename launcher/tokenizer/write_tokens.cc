#include "launcher/tokenizer/write_tokens.h"

#include <fmt/format.h>

#include <limits>
#include <optional>
#include <vector>

#include "launcher/base/atomic.h"
#include "launcher/data/byte_source.h"
#include "launcher/data/errors.h"
#include "launcher/data/token_file.h"
#include "launcher/tokenizer/tokenizer.h"

namespace trireme::launcher {
namespace {

constexpr size_t kChunk = 4 << 20;

void check_count(int64_t tokens, ShardFormat format, const std::filesystem::path& text) {
  if (format == ShardFormat::kLlmc && tokens > std::numeric_limits<int32_t>::max())
    bad_data(
        "[tokens] {}: a shard of llm.c's layout holds at most 2147483647 tokens, got {}; "
        "split the text, or use --format nanogpt",
        text.string(), tokens);
}

class ShardWriter {
 public:
  ShardWriter(std::filesystem::path path, ShardFormat format)
      : path_(std::move(path)), out_(path_), format_(format) {
    if (format_ == ShardFormat::kLlmc)
      out_.write(std::vector<uint8_t>(kLlmcHeaderBytes).data(), kLlmcHeaderBytes);
  }

  void add(int32_t token) {
    if (token > std::numeric_limits<uint16_t>::max())
      bad_data("[tokens] token {} does not fit into the 16 bits that a shard has for it", token);
    bytes_.push_back(static_cast<uint8_t>(token));
    bytes_.push_back(static_cast<uint8_t>(token >> 8));
    if (bytes_.size() >= kChunk) write();
  }

  // Returns the number of tokens.
  int64_t commit() {
    write();
    if (format_ == ShardFormat::kLlmc) write_header();
    out_.commit();
    return tokens_;
  }

 private:
  void write() {
    out_.write(bytes_.data(), std::ssize(bytes_));
    tokens_ += std::ssize(bytes_) / 2;
    bytes_.clear();
  }

  void write_header() {
    check_count(tokens_, format_, path_);
    std::vector<uint8_t> header;
    for (int64_t value : {int64_t{kLlmcMagic}, int64_t{kLlmcVersion}, tokens_})
      for (int shift = 0; shift < 32; shift += 8)
        header.push_back(static_cast<uint8_t>(value >> shift));
    out_.rewrite(0, header.data(), std::ssize(header));
  }

  std::filesystem::path path_;
  AtomicFile out_;
  ShardFormat format_;
  std::vector<uint8_t> bytes_;
  int64_t tokens_ = 0;
};

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// Where a text may be cut so that its parts have the tokens of the whole: between a letter and
// white space, as far back as there is such a place. No pattern has a word that goes on there.
size_t last_cut(std::string_view text) {
  for (size_t i = text.size(); i-- > 1;)
    if ((text[i] == ' ' || text[i] == '\n') && is_letter(text[i - 1])) return i;
  return 0;
}

size_t whole(std::string_view text) { return text.size(); }

// Calls `use` with parts of the file, in order.
template <typename Cut, typename Use>
void read_in_parts(const File& file, const Cut& cut, const Use& use) {
  std::string text;
  for (int64_t read = 0; read < file.bytes();) {
    const size_t kept = text.size();
    text.resize(kept + kChunk);
    const size_t got = file.read_at(read, {reinterpret_cast<uint8_t*>(text.data()) + kept, kChunk});
    if (got == 0) bad_data("[tokens] {}: was cut short while it was read", file.path());
    text.resize(kept + got);
    read += static_cast<int64_t>(got);
    const size_t part = read == file.bytes() ? text.size() : cut(text);
    use(std::string_view(text).substr(0, part));
    text.erase(0, part);
  }
}

}  // namespace

void write_tokens(const WriteTokensArguments& arguments) {
  const File text(arguments.text.string());
  std::optional<Tokenizer> tokenizer;
  if (!arguments.tokenizer.empty())
    tokenizer.emplace(arguments.tokenizer);
  else
    check_count(text.bytes(), arguments.format, arguments.text);
  ShardWriter shard(arguments.out, arguments.format);
  if (tokenizer)
    read_in_parts(text, last_cut, [&](std::string_view part) {
      for (int32_t token : tokenizer->encode(part)) shard.add(token);
    });
  else
    read_in_parts(text, whole, [&](std::string_view part) {
      for (unsigned char byte : part) shard.add(byte);
    });
  const int64_t tokens = shard.commit();
  fmt::print("{}: {} tokens, vocabulary {}\n", arguments.out.string(), tokens,
             tokenizer ? tokenizer->vocabulary() : 256);
}

}  // namespace trireme::launcher

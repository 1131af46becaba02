#include "launcher/tokenizer/tokenizer.h"

#include <algorithm>

#include "launcher/data/errors.h"

namespace trireme::launcher {
namespace {

struct Found {
  size_t position;
  std::string_view text;
  int32_t token;
};

// The first place of an added token; of those that begin there, the longest.
std::optional<Found> find_added(const std::unordered_map<std::string, int32_t>& added,
                                std::string_view text) {
  std::optional<Found> first;
  for (const auto& [content, token] : added) {
    const size_t position = text.find(content);
    if (position == std::string_view::npos) continue;
    if (!first || position < first->position ||
        (position == first->position && content.size() > first->text.size()))
      first = {position, content, token};
  }
  return first;
}

}  // namespace

Tokenizer::Tokenizer(const std::filesystem::path& folder)
    : Tokenizer(read_tokenizer(folder), folder) {}

Tokenizer::Tokenizer(TokenizerFiles files, const std::filesystem::path& folder)
    : added_(std::move(files.added)), leading_blank_(files.leading_blank) {
  const auto keep = [&](const std::string& bytes, int32_t number) {
    if (static_cast<size_t>(number) >= tokens_.size()) tokens_.resize(number + 1);
    tokens_[number] = bytes;
  };
  for (const auto& [bytes, number] : files.vocabulary) keep(bytes, number);
  for (const auto& [content, number] : added_) keep(content, number);
  try {
    for (const std::string& pattern : files.patterns) splitters_.emplace_back(pattern);
    pairs_.emplace(std::move(files.vocabulary), files.merges, files.whole_first);
  } catch (const InvalidArgument& error) {
    bad_data("[tokenizer] {}: {}", folder.string(), error.what());
  }
}

std::vector<int32_t> Tokenizer::encode(std::string_view text) const {
  std::vector<int32_t> tokens;
  while (!text.empty()) {
    const std::optional<Found> found = find_added(added_, text);
    encode_plain(text.substr(0, found ? found->position : text.size()), tokens);
    if (!found) break;
    tokens.push_back(found->token);
    text.remove_prefix(found->position + found->text.size());
  }
  return tokens;
}

void Tokenizer::encode_plain(std::string_view text, std::vector<int32_t>& tokens) const {
  if (text.empty()) return;
  std::string with_blank;
  if (leading_blank_ && text.front() != ' ') text = with_blank = ' ' + std::string(text);
  std::vector<std::string_view> pieces{text}, finer;
  for (const Splitter& splitter : splitters_) {
    finer.clear();
    for (std::string_view piece : pieces) splitter.split(piece, finer);
    pieces.swap(finer);
  }
  for (std::string_view piece : pieces) pairs_->encode(piece, tokens);
}

std::string_view Tokenizer::bytes(int32_t token) const {
  return token >= 0 && token < vocabulary() ? std::string_view(tokens_[token]) : "";
}

}  // namespace trireme::launcher

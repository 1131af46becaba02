#include "launcher/data/tokens.h"

#include <fmt/ranges.h>
#include <xxhash.h>

#include <algorithm>

#include "launcher/base/file_patterns.h"
#include "launcher/data/errors.h"

namespace trireme::launcher {

TokenDataset::TokenDataset(const TokensOptions& options)
    : TokenDataset(options.files, TokenContent::kShard, options.vocabulary, options.context) {}

TokenDataset::TokenDataset(const TextOptions& options)
    : TokenDataset(options.files, TokenContent::kText, TextOptions::kVocabulary, options.context) {}

TokenDataset::TokenDataset(const std::vector<std::string>& patterns, TokenContent content,
                           int64_t vocabulary, int64_t context)
    : vocabulary_(vocabulary), context_(context) {
  if (context < 1 || vocabulary < 1)
    fail("[tokens] expects a context and a vocabulary of at least 1, got {} and {}", context,
         vocabulary);
  for (const std::string& path : matching_files(patterns)) add(TokenFile(File(path), content));
  if (files_.empty()) bad_data("[tokens] there is no file {}", fmt::join(patterns, ", "));
  identity_ = make_identity();
}

void TokenDataset::add(TokenFile file) {
  const int64_t windows = (file.tokens() - 1) / context_;
  if (file.tokens() < 1 || windows == 0)
    bad_data("[tokens] {}: a context of {} expects at least {} tokens, got {}", file.path(),
             context_, context_ + 1, file.tokens());
  first_window_.push_back(first_window_.back() + windows);
  files_.push_back(std::move(file));
}

void TokenDataset::read(int64_t index, Sample out) const {
  const auto after = std::ranges::upper_bound(first_window_, index);
  const size_t which = static_cast<size_t>(after - first_window_.begin()) - 1;
  const int64_t first = (index - first_window_[which]) * context_;
  files_[which].read(first, vocabulary_, out.tokens);
  std::copy(out.tokens.begin() + 1, out.tokens.end(), out.labels.begin());
  files_[which].read(first + context_, vocabulary_, out.labels.last(1));
}

std::string TokenDataset::name() const {
  const std::string& first = files_.front().path();
  return files_.size() == 1 ? first : fmt::format("{} and {} more", first, files_.size() - 1);
}

std::string TokenDataset::make_identity() const {
  constexpr int64_t kWindows = 64;
  std::vector<int64_t> sizes;
  for (const TokenFile& file : files_) sizes.push_back(file.tokens());
  XXH64_hash_t hash = XXH3_64bits(sizes.data(), sizes.size() * sizeof(int64_t));
  std::vector<int32_t> window(static_cast<size_t>(2 * context_));
  const auto tokens = std::span(window).first(static_cast<size_t>(context_));
  const auto labels = std::span(window).last(static_cast<size_t>(context_));
  for (int64_t i = 0; i < std::min(kWindows, size()); ++i) {
    const int64_t index = size() <= kWindows ? i : i * ((size() - 1) / (kWindows - 1));
    read(index, {.features = {}, .label = labels.front(), .tokens = tokens, .labels = labels});
    hash = XXH3_64bits_withSeed(window.data(), window.size() * sizeof(int32_t), hash);
  }
  return fmt::format("tokens {} x {} vocabulary={} files={} hash={:016x}", size(), context_,
                     vocabulary_, files_.size(), hash);
}

}  // namespace trireme::launcher

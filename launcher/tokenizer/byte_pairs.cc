#include "launcher/tokenizer/byte_pairs.h"

#include <queue>
#include <tuple>

#include "core/base/error.h"

namespace trireme::launcher {
namespace {

uint64_t key_of(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

}  // namespace

BytePairs::BytePairs(Vocabulary vocabulary, const std::vector<Merge>& merges, bool whole_first)
    : vocabulary_(std::move(vocabulary)), whole_first_(whole_first) {
  const auto token_of = [&](const std::string& bytes, const char* what) {
    const auto found = vocabulary_.find(bytes);
    if (found == vocabulary_.end()) fail("{} is no token of the vocabulary", what);
    return found->second;
  };
  for (int byte = 0; byte < 256; ++byte)
    bytes_[byte] =
        token_of(std::string(1, static_cast<char>(byte)), fmt::format("byte {}", byte).c_str());
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const auto& [left, right] = merges[rank];
    const std::string what = fmt::format("a part of merge {}, or what it makes,", rank + 1);
    const uint64_t key = key_of(token_of(left, what.c_str()), token_of(right, what.c_str()));
    joins_.insert({key, {static_cast<int32_t>(rank), token_of(left + right, what.c_str())}});
  }
}

void BytePairs::encode(std::string_view piece, std::vector<int32_t>& tokens) const {
  if (whole_first_)
    if (const auto whole = vocabulary_.find(std::string(piece)); whole != vocabulary_.end()) {
      tokens.push_back(whole->second);
      return;
    }
  std::vector<int32_t> parts;
  for (unsigned char byte : piece) parts.push_back(bytes_[byte]);
  merge(parts);
  tokens.insert(tokens.end(), parts.begin(), parts.end());
}

// The pair of the lowest rank first, of equal ones the leftmost. Parts are a list linked by
// position, so that a piece of n bytes takes n log n steps and not n^2.
void BytePairs::merge(std::vector<int32_t>& parts) const {
  constexpr int32_t kGone = -1;
  const auto count = static_cast<int>(parts.size());
  std::vector<int> before(count), behind(count);
  using Candidate = std::tuple<int32_t, int, int32_t, int32_t>;  // rank, position, the two parts
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> candidates;
  const auto consider = [&](int left) {
    if (left < 0 || behind[left] >= count) return;
    const int32_t a = parts[left], b = parts[behind[left]];
    if (const Join* join = join_of(a, b)) candidates.emplace(join->rank, left, a, b);
  };
  for (int i = 0; i < count; ++i) before[i] = i - 1, behind[i] = i + 1;
  for (int i = 0; i < count; ++i) consider(i);
  while (!candidates.empty()) {
    const auto [rank, left, a, b] = candidates.top();
    candidates.pop();
    const int right = behind[left];
    if (parts[left] != a || right >= count || parts[right] != b) continue;  // joined since
    parts[left] = join_of(a, b)->token;
    parts[right] = kGone;
    behind[left] = behind[right];
    if (behind[right] < count) before[behind[right]] = left;
    consider(before[left]);
    consider(left);
  }
  std::erase(parts, kGone);
}

const BytePairs::Join* BytePairs::join_of(int32_t left, int32_t right) const {
  const auto found = joins_.find(key_of(left, right));
  return found == joins_.end() ? nullptr : &found->second;
}

}  // namespace trireme::launcher

#include "launcher/job/suggest.h"

#include <fmt/format.h>

#include <algorithm>

namespace trireme::launcher {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

}  // namespace

std::string one_line(std::string_view text, size_t limit) {
  std::string result;
  for (unsigned char c : text) {
    if (result.size() >= limit) {
      // Not in the middle of a character of several bytes.
      while (!result.empty() && (static_cast<unsigned char>(result.back()) & 0x80) != 0) {
        const bool first = (static_cast<unsigned char>(result.back()) & 0x40) != 0;
        result.pop_back();
        if (first) break;
      }
      return result + "...";
    }
    if (c < 0x20 || c == 0x7f)
      result += fmt::format("\\x{:02x}", c);
    else
      result += static_cast<char>(c);
  }
  return result;
}

std::string in_quotes(std::string_view text) { return '"' + one_line(text) + '"'; }

Closest::Closest(std::string_view word) {
  if (word.empty() || word.size() > kLongest) return;
  std::ranges::transform(word, word_.begin(), lower);
  size_ = word.size();
  bound_ = std::max<size_t>(1, size_ / 3) + 1;
}

void Closest::consider(std::string_view candidate) {
  const size_t n = candidate.size();
  if ((n > size_ ? n - size_ : size_ - n) >= bound_) return;
  const size_t distance = distance_to(candidate);
  if (distance >= bound_) return;
  bound_ = distance;
  found_ = candidate;
}

// Optimal string alignment distance: three rows of the table are enough. Given up, with bound_,
// once two rows in a row are not below it: none that follows is.
size_t Closest::distance_to(std::string_view candidate) const {
  std::array<std::array<uint8_t, kLongest + kLongest / 3 + 2>, 3> rows;
  uint8_t *before = rows[0].data(), *last = rows[1].data(), *row = rows[2].data();
  const size_t n = candidate.size();
  for (size_t j = 0; j <= n; ++j) last[j] = static_cast<uint8_t>(j);
  size_t least_of_last = 0;
  for (size_t i = 1; i <= size_; ++i) {
    size_t least = row[0] = static_cast<uint8_t>(i);
    for (size_t j = 1; j <= n; ++j) {
      const char here = word_[i - 1], there = lower(candidate[j - 1]);
      size_t cost = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (here != there)});
      if (i > 1 && j > 1 && here == lower(candidate[j - 2]) && word_[i - 2] == there)
        cost = std::min<size_t>(cost, before[j - 2] + 1);
      row[j] = static_cast<uint8_t>(cost);
      least = std::min(least, cost);
    }
    if (least >= bound_ && least_of_last >= bound_) return bound_;
    least_of_last = least;
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[n];
}

std::string nearest_divisors(int64_t whole, int64_t value) {
  int64_t below = 0, above = 0;
  for (int64_t d = 1; d <= whole / d; ++d) {
    if (whole % d != 0) continue;
    for (int64_t divisor : {d, whole / d}) {
      if (divisor < value) below = std::max(below, divisor);
      if (divisor > value && (above == 0 || divisor < above)) above = divisor;
    }
  }
  if (below == 0 || above == 0) return fmt::format("{}", std::max(below, above));
  return fmt::format("{}, {}", below, above);
}

std::string nearest_multiples(int64_t step, int64_t value) {
  const int64_t below = value / step * step;
  if (below == 0) return fmt::format("{}", step);
  return fmt::format("{}, {}", below, below + step);
}

}  // namespace trireme::launcher

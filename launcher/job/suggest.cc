#include "launcher/job/suggest.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace trireme::launcher {
namespace {

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return result;
}

// Optimal string alignment distance: three rows of the table are enough.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

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

std::string listed(std::span<const std::string> items) {
  return fmt::format("{}", fmt::join(items, ", "));
}

std::string closest(std::string_view word, std::span<const std::string> candidates) {
  constexpr size_t kLongest = 64;  // nothing of ours is longer
  if (word.empty() || word.size() > kLongest) return {};
  size_t best = std::max<size_t>(1, word.size() / 3) + 1;
  std::string result;
  for (const std::string& candidate : candidates) {
    const size_t distance = edit_distance(lower(word), lower(candidate));
    if (distance < best) {
      best = distance;
      result = candidate;
    }
  }
  return result;
}

std::string did_you_mean(std::string_view word, std::span<const std::string> candidates,
                         std::string_view label) {
  const std::string near = closest(word, candidates);
  if (!near.empty()) return fmt::format("; did you mean \"{}\"?", near);
  if (candidates.empty()) return {};
  return fmt::format("; {}: {}", label, listed(candidates));
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

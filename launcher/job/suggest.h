// The small words of error messages: what was found, what was probably meant.
#pragma once

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>

namespace trireme::launcher {

// `text` on one line: control characters as \xNN, what is beyond `limit` characters as "...".
std::string one_line(std::string_view text, size_t limit = 40);
std::string in_quotes(std::string_view text);  // one_line between double quotes

// "a, b, c", of a range of texts.
template <typename Texts>
std::string listed(const Texts& items) {
  return fmt::format("{}", fmt::join(items, ", "));
}

// Looks through candidates for the one that is closest to a word: by insertions, deletions, changes
// and swaps of neighbours, without regard to case, and near enough for a slip (a third of the
// word).
class Closest {
 public:
  explicit Closest(std::string_view word);
  void consider(std::string_view candidate);
  // The first of the closest so far, as it was given; empty if none is near enough.
  std::string_view found() const { return found_; }

 private:
  static constexpr size_t kLongest = 64;  // nothing of ours is longer
  size_t distance_to(std::string_view candidate) const;

  std::array<char, kLongest> word_{};
  size_t size_ = 0;
  size_t bound_ = 0;  // a candidate must be nearer; 0: none is
  std::string_view found_;
};

// The candidate, of a range of texts, that is closest to `word`; empty if there is none.
template <typename Texts>
std::string closest(std::string_view word, const Texts& candidates) {
  Closest search(word);
  for (const auto& candidate : candidates) search.consider(candidate);
  return std::string(search.found());
}
// "; did you mean X" with the closest candidate, or "; <label>: a, b, c".
template <typename Texts>
std::string did_you_mean(std::string_view word, const Texts& candidates, std::string_view label) {
  const std::string near = closest(word, candidates);
  if (!near.empty()) return fmt::format("; did you mean \"{}\"?", near);
  if (std::empty(candidates)) return {};
  return fmt::format("; {}: {}", label, listed(candidates));
}

// The divisors of `whole` next to `value` below and above, as "4, 8".
std::string nearest_divisors(int64_t whole, int64_t value);
// The multiples of `step` next to `value` below and above, above 0, as "120, 126".
std::string nearest_multiples(int64_t step, int64_t value);

}  // namespace trireme::launcher

// The small words of error messages: what was found, what was probably meant.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace trireme::launcher {

// `text` on one line: control characters as \xNN, what is beyond `limit` characters as "...".
std::string one_line(std::string_view text, size_t limit = 40);
std::string in_quotes(std::string_view text);  // one_line between double quotes

// "a, b, c".
std::string listed(std::span<const std::string> items);

// The candidate that is closest to `word`: by insertions, deletions, changes and swaps of
// neighbours, without regard to case, and near enough for a slip (a third of the word). Empty if
// there is none.
std::string closest(std::string_view word, std::span<const std::string> candidates);
// "; did you mean X" with the closest candidate, or "; <label>: a, b, c".
std::string did_you_mean(std::string_view word, std::span<const std::string> candidates,
                         std::string_view label);

// The divisors of `whole` next to `value` below and above, as "4, 8".
std::string nearest_divisors(int64_t whole, int64_t value);
// The multiples of `step` next to `value` below and above, above 0, as "120, 126".
std::string nearest_multiples(int64_t step, int64_t value);

}  // namespace trireme::launcher

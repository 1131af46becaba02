// The words of semantic checks: each reports at the place of the field that it is about.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include "launcher/job/diagnostics.h"
#include "launcher/job/places.h"

namespace trireme::launcher {

// The most that a count (samples, steps, channels) may be: products of two still fit 64 bits.
inline constexpr int64_t kMostOfAnything = std::numeric_limits<int32_t>::max();

class Checker {
 public:
  // `places` and `diagnostics` are borrowed.
  Checker(const Places& places, Diagnostics& diagnostics, bool looks_for_files)
      : places_(places), diagnostics_(diagnostics), looks_for_files_(looks_for_files) {}

  bool looks_for_files() const { return looks_for_files_; }
  bool given(std::string_view path) const { return places_.has(path); }

  template <typename... Args>
  void error(std::string_view path, fmt::format_string<Args...> format, Args&&... args) {
    diagnostics_.add_at(path, fmt::format(format, std::forward<Args>(args)...));
  }

  // Whether the field is there. If not, that is an error, unless what stands there was reported.
  bool required(std::string_view path, std::string_view example) {
    if (given(path)) return true;
    if (!diagnostics_.excused(path)) error(path, "{} is missing: add e.g. {}", path, example);
    return false;
  }
  // The same of a choice inside the message `path`: one of `cases` must be there.
  bool required_case(std::string_view path, std::initializer_list<const char*> cases,
                     std::string_view example) {
    bool excused = diagnostics_.excused(path);
    for (const char* name : cases) {
      const std::string place = join_path(path, name);
      if (given(place)) return true;
      excused = excused || diagnostics_.excused(place);
    }
    if (!excused)
      error(path, "{} expects one of {}: add e.g. {}", path, fmt::join(cases, ", "), example);
    return false;
  }

  bool count(std::string_view path, int64_t value, int64_t low = 1) {
    if (value >= low && value <= kMostOfAnything) return true;
    error(path, "{} ({}) must be from {} to {}", path, value, low, kMostOfAnything);
    return false;
  }
  void required_count(std::string_view path, int64_t value, std::string_view example) {
    if (required(path, example)) count(path, value);
  }
  template <typename T>
  void above_zero(std::string_view path, T value) {
    if (!(value > 0)) error(path, "{} ({}) must be above 0", path, value);
  }
  template <typename T>
  void not_negative(std::string_view path, T value) {
    if (!(value >= 0)) error(path, "{} ({}) must be at least 0", path, value);
  }
  template <typename T>
  void below_one(std::string_view path, T value) {
    if (!(value >= 0 && value < 1))
      error(path, "{} ({}) must be at least 0 and below 1", path, value);
  }
  // What the schema has and this version has not.
  void unavailable(std::string_view path, std::string_view value, std::string_view instead) {
    error(path, "{} ({}) is not available in this version; leave it {}", path, value, instead);
  }

 private:
  const Places& places_;
  Diagnostics& diagnostics_;
  bool looks_for_files_;
};

}  // namespace trireme::launcher

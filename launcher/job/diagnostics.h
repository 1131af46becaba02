// The errors of one job, gathered so that all are reported at once.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "launcher/job/places.h"

namespace trireme::launcher {

class Diagnostics {
 public:
  // `places` is borrowed.
  explicit Diagnostics(const Places& places) : places_(&places) {}

  void add(Origin origin, std::string message);
  // At the place of a field, or of the message around it if the field is not there.
  void add_at(std::string_view path, std::string message);

  // Something at `path` was not understood: what is missing there, or right inside it, may have
  // been meant by that, and is not reported as well.
  void excuse(std::string_view path) { excused_.emplace(path); }
  bool excused(std::string_view path) const;

  bool empty() const { return errors_.empty(); }
  // So many errors that the file is something else: nobody reads on.
  bool full() const { return errors_.size() >= kMost; }

  // Throws InvalidArgument with one line an error, in the order of their places.
  void throw_if_any() const;

 private:
  static constexpr size_t kMost = 50;
  const Places* places_;
  std::vector<std::pair<Origin, std::string>> errors_;
  std::set<std::string, std::less<>> excused_;
};

}  // namespace trireme::launcher

#include "launcher/job/diagnostics.h"

#include <algorithm>

#include "core/base/error.h"

namespace trireme::launcher {

void Diagnostics::add(Origin origin, std::string message) {
  if (full()) return;
  errors_.emplace_back(origin, std::move(message));
  if (full()) errors_.emplace_back(origin, "too many errors; the rest was not looked at");
}

void Diagnostics::add_at(std::string_view path, std::string message) {
  add(places_->origin(path), std::move(message));
}

bool Diagnostics::excused(std::string_view path) const {
  return excused_.count(path) != 0 || excused_.count(parent_path(path)) != 0;
}

void Diagnostics::throw_if_any() const {
  if (errors_.empty()) return;
  auto errors = errors_;
  std::stable_sort(errors.begin(), errors.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::string lines;
  for (const auto& [origin, message] : errors) {
    if (!lines.empty()) lines += '\n';
    lines += places_->text(origin) + ": " + message;
  }
  throw InvalidArgument(lines, ExitCode::kUsage);
}

}  // namespace trireme::launcher

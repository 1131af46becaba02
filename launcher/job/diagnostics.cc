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
  std::vector<const std::pair<Origin, std::string>*> order;
  order.reserve(errors_.size());
  for (const auto& error : errors_) order.push_back(&error);
  std::ranges::stable_sort(order, {}, [](const auto* error) { return error->first; });
  std::string lines;
  for (const auto* error : order) {
    if (!lines.empty()) lines += '\n';
    lines.append(places_->text(error->first)).append(": ").append(error->second);
  }
  throw InvalidArgument(lines, ExitCode::kUsage);
}

}  // namespace trireme::launcher

#include "launcher/job/places.h"

#include <fmt/format.h>

#include "launcher/job/suggest.h"

namespace trireme::launcher {

Origin Places::add_set(std::string_view text) {
  sets_.push_back(one_line(text, 120));
  return {.set = static_cast<int>(sets_.size())};
}

void Places::forget(const std::string& path) {
  auto it = origins_.lower_bound(path);
  while (it != origins_.end() && it->first.starts_with(path)) {
    const bool inside = it->first.size() == path.size() || it->first[path.size()] == '.' ||
                        it->first[path.size()] == '[';
    it = inside ? origins_.erase(it) : std::next(it);
  }
}

Origin Places::origin(std::string_view path) const {
  for (; !path.empty(); path = parent_path(path)) {
    const auto it = origins_.find(path);
    if (it != origins_.end()) return it->second;
  }
  return {};
}

std::string Places::text(Origin origin) const {
  if (origin.set > 0) return "--set " + sets_[origin.set - 1];
  return fmt::format("{}:{}:{}", file_, origin.line, origin.column);
}

std::string join_path(std::string_view message, std::string_view field) {
  std::string path;
  path.reserve(message.size() + 1 + field.size());
  path.append(message);
  if (!message.empty()) path += '.';
  return path.append(field);
}

std::string_view parent_path(std::string_view path) {
  const size_t cut = path.find_last_of(".[");
  return cut == std::string_view::npos ? std::string_view() : path.substr(0, cut);
}

}  // namespace trireme::launcher

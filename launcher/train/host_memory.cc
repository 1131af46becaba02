#include "launcher/train/host_memory.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <string>
#include <string_view>

namespace trireme::launcher {
namespace {

namespace fs = std::filesystem;

// The files of a control group. Source: the kernel's documentation of cgroup v1 and v2, memory.
struct GroupFiles {
  const char *limit, *usage;
  std::string_view reclaimable[2];  // lines of memory.stat: pages of files
};
constexpr GroupFiles kV1{
    "memory.limit_in_bytes", "memory.usage_in_bytes", {"total_inactive_file", "total_active_file"}};
constexpr GroupFiles kV2{"memory.max", "memory.current", {"inactive_file", "active_file"}};

std::optional<int64_t> number(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return {};  // "max"
  return value;
}

// The number behind `name` and ':' or a blank, of a file of such lines.
std::optional<int64_t> line_of(const fs::path& path, std::string_view name) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(name) && line.size() > name.size() &&
        (line[name.size()] == ':' || line[name.size()] == ' '))
      return number(std::string_view(line).substr(name.size() + 1));
  return {};
}

std::optional<int64_t> number_in(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return number(line);
}

std::optional<int64_t> left_in(const fs::path& group, const GroupFiles& files) {
  const auto limit = number_in(group / files.limit), usage = number_in(group / files.usage);
  if (!limit || !usage) return {};
  int64_t used = *usage;
  for (const std::string_view line : files.reclaimable)
    used -= line_of(group / "memory.stat", line).value_or(0);
  return std::max<int64_t>(*limit - used, 0);
}

void keep_least(std::optional<int64_t>& least, std::optional<int64_t> other) {
  if (other) least = std::min(least.value_or(*other), *other);
}

// Of this process's group and all around it.
void keep_least_of_groups(const fs::path& root, std::optional<int64_t>& least) {
  std::ifstream groups(root / "proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {  // "0::/user.slice", "4:memory:/job"
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool v2 = controllers.empty();
    if (!v2 && controllers != "memory") continue;
    const fs::path mount = root / (v2 ? "sys/fs/cgroup" : "sys/fs/cgroup/memory");
    fs::path group = fs::path(line.substr(second + 1)).relative_path();
    for (; !group.empty(); group = group.parent_path())
      keep_least(least, left_in(mount / group, v2 ? kV2 : kV1));
    keep_least(least, left_in(mount, v2 ? kV2 : kV1));  // a container's own, whatever its name
  }
}

}  // namespace

std::optional<int64_t> available_host_memory(const fs::path& root) {
  constexpr int64_t kKiB = 1024;
  std::optional<int64_t> least;
  if (const auto available = line_of(root / "proc/meminfo", "MemAvailable"))
    least = (*available + line_of(root / "proc/meminfo", "SwapFree").value_or(0)) * kKiB;
  keep_least_of_groups(root, least);
  return least;
}

}  // namespace trireme::launcher

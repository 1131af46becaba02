#include "launcher/train/process_memory.h"

#include <fstream>
#include <span>
#include <string>

namespace trireme::launcher {

ProcessMemory process_memory() {
  constexpr int64_t kKiB = 1024;
  ProcessMemory memory;
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) memory.resident = std::stoll(line.substr(6)) * kKiB;
    if (line.starts_with("VmHWM:")) memory.peak = std::stoll(line.substr(6)) * kKiB;
  }
  return memory;
}

std::vector<int64_t> gather_value(comm::Communicator& group, int64_t value) {
  std::vector<int64_t> all(static_cast<size_t>(group.size()));
  group.all_gather(std::span<const int64_t>(&value, 1), std::span(all), {}, "memory of the ranks");
  return all;
}

}  // namespace trireme::launcher

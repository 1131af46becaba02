#include "comm/control/roster.h"

#include <fmt/format.h>

namespace trireme::comm::control {
namespace {

constexpr size_t kLeastRun = 4;  // "0-3" is shorter than "0, 1, 2 and 3", "0-2" hardly

// "0", "1", "5-9": single numbers, and runs of neighbours.
std::vector<std::string> runs_of(std::span<const int> ranks) {
  std::vector<std::string> runs;
  for (size_t begin = 0; begin < ranks.size();) {
    size_t end = begin + 1;
    while (end < ranks.size() && ranks[end] == ranks[end - 1] + 1) ++end;
    if (end - begin >= kLeastRun) {
      runs.push_back(fmt::format("{}-{}", ranks[begin], ranks[end - 1]));
      begin = end;
    } else {
      runs.push_back(std::to_string(ranks[begin++]));
    }
  }
  return runs;
}

}  // namespace

std::string Roster::describe(int rank) const {
  const Member& member = members.at(rank);
  if (size() == 1) return fmt::format("the process (pid {})", member.pid);
  return fmt::format("rank {}/{} on {} (pid {})", rank, size(), member.host, member.pid);
}

std::string in_words(std::span<const int> ranks) {
  const std::vector<std::string> runs = runs_of(ranks);
  std::string words = ranks.size() == 1 ? "rank " : "ranks ";
  for (size_t i = 0; i < runs.size(); ++i)
    words += (i == 0 ? "" : i + 1 == runs.size() ? " and " : ", ") + runs[i];
  return words;
}

}  // namespace trireme::comm::control

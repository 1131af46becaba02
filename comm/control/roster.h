// Who the ranks of a job are.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace trireme::comm::control {

struct Member {
  std::string host;
  int64_t pid = 0;
};

struct Roster {
  int rank = 0;  // this process
  std::vector<Member> members;

  int size() const { return static_cast<int>(members.size()); }
  // "rank 2/4 on node07 (pid 123)"; "the process (pid 123)" where there is only one.
  std::string describe(int rank) const;
};

// "rank 2", "ranks 0, 1 and 3", "ranks 0-6 and 9": numbers that grow.
std::string in_words(std::span<const int> ranks);

}  // namespace trireme::comm::control

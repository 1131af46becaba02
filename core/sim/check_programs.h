// All ranks' programs against each other, before the first of them runs.
#pragma once

#include <string>
#include <vector>

#include "core/sim/call_script.h"

namespace trireme::core {

struct CheckedWorld {
  struct Group {
    int number = 0;          // as programs call it
    std::string name;        // "data", for errors
    std::vector<int> ranks;  // the members, in the order of the group
  };
  std::vector<const CallScript*> scripts;  // by rank; ranks of one class share one
  std::vector<std::vector<int>> groups;    // by rank and group number: in `members`; -1: in none
  std::vector<Group> members;
  // By rank: another one in whose place it stands when the run is simulated. Their scripts have the
  // same order_hash, and the groups of one are the other's with every member replaced likewise, so
  // that one of them gets stuck where the other does. Empty: nobody stands for anybody.
  std::vector<int> stand_ins;
};

// Throws InvalidArgument of one line, with ranks, places and sizes, unless
//   - the members of every group make the same collectives in the same order (kind, reduction,
//     dtype, count, name),
//   - every send meets the receive that its peer has at its place, of the same dtype, count, name,
//   - a run of all programs comes to its end, given the streams, their order and messages that wait
//     for their receiver (core/sim/simulator.h).
// The first two take time by distinct scripts and by members of groups, the third by ranks that
// nobody stands in for.
void check_programs(const CheckedWorld& world);

}  // namespace trireme::core

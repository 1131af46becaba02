// All ranks' programs against each other, before the first of them runs.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/program/program.h"

namespace trireme::core {

// A group as one rank knows it.
struct ProgramGroup {
  std::string name;        // "data", for errors
  std::vector<int> ranks;  // the members' ranks in the world, in the order of the group; may be
                           // empty where the rank's program does not name the group
};

struct RankProgram {
  const Program* program = nullptr;  // ranks of one class share one
  std::vector<ProgramGroup> groups;  // by group number
};

// Throws InvalidArgument, with ranks and places in words of the graph, unless
//   - the members of every group make the same collectives in the same order (kind, reduction,
//     dtype, count),
//   - every send meets the receive that its peer has at its place, of the same dtype and count,
//   - a run of all programs comes to its end, given the streams, their order and messages that wait
//     for their receiver (core/sim/simulator.h).
void check_programs(std::span<const RankProgram> ranks);

}  // namespace trireme::core

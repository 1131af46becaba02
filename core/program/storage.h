// Where activations live: which values share memory, how long, and at which offset.
#pragma once

#include <vector>

#include "core/program/program.h"

namespace trireme::core {

struct ActivationPlan {
  std::vector<Location> values;      // by value; Arena::kNone for what is not an activation, and
                                     // for views of what is not
  std::vector<Location> workspaces;  // by node, in Arena::kScratch
  int64_t slot_bytes = 0;            // of values made in forward and used in backward
  int64_t scratch_bytes = 0;         // the larger of the segments' needs
};

// A view shares its input's memory; an op that may overwrite its input does so if that is the
// memory's last use. Time is the number of the node.
ActivationPlan plan_activations(const Graph& graph, DeviceKind device);

}  // namespace trireme::core

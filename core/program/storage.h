// Where activations live: which values share memory, how long, and at which offset.
#pragma once

#include <span>
#include <vector>

#include "core/program/segment_plan.h"

namespace trireme::core {

struct ActivationPlan {
  std::vector<Location> values;      // by value; Arena::kNone for what is not an activation, and
                                     // for views of what is not
  std::vector<Location> workspaces;  // by node, in Arena::kScratch
  std::vector<int64_t> slot_bytes;   // by chunk: of values that cross its segments, or ranks
  int64_t scratch_bytes = 0;         // the largest of the segments' needs
};

// A view shares its input's memory; an op that may overwrite its input does so if that is the
// memory's last use. Segments of a chunk run in the order given for each micro-batch; what a
// segment receives is there from its start, and what it sends stays for as long as the slot does.
// With `prepares_in_segment` a node's prepared form lies in front of its workspace, for as long.
// Throws InvalidArgument if a chunk uses an activation that another made and it does not receive.
ActivationPlan plan_activations(const Graph& graph, std::span<const SegmentPlan> segments,
                                DeviceKind device, bool prepares_in_segment = false);

constexpr int64_t round_up_256(int64_t bytes) { return (bytes + 255) / 256 * 256; }

}  // namespace trireme::core

// Which nodes a program runs, cut into segments, and what they hand to other ranks.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/program/program.h"

namespace trireme::core {

struct SegmentPlan {
  std::string name;
  int chunk = 0;                   // whose activation slots it works in
  std::vector<NodeId> nodes;       // in the order in which they run
  std::vector<Transfer> receives;  // before the first node
  std::vector<Transfer> sends;     // each once it is made, which one of the nodes does, or received
  // Values that lie elsewhere in this segment than in others: gathered parameters.
  std::vector<std::pair<ValueId, Location>> locations;
};

// Forward, then backward, of the whole graph: two segments of chunk 0.
std::vector<SegmentPlan> whole_graph(const Graph& graph);

// A micro-batch's turn in a segment; slots are numbered 0, 1, ... in each chunk.
struct Turn {
  int segment = 0;
  int micro_batch = 0;
  int slot = 0;
};

// Every segment in turn for each micro-batch in turn, on one slot.
std::vector<Turn> one_after_another(int segments, int micro_batches);

}  // namespace trireme::core

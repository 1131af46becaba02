// One stage's part of a network that is cut into chunks, as a graph of its own.
#pragma once

#include <string>
#include <vector>

#include "core/graph/graph.h"

namespace trireme::parallel {

// Chunk c of stage s is chunk c p + s of the network, so that neighbours are on different stages.
struct StagePlace {
  int stages = 1;
  int chunks = 1;  // of a stage
  int stage = 0;

  int network_chunks() const { return stages * chunks; }
  int in_network(int chunk) const { return chunk * stages + stage; }
  bool holds(int network_chunk) const { return network_chunk % stages == stage; }
};

// A value on its way between a chunk of this stage and the network's next or last one.
struct Crossing {
  core::ValueId value = core::kNoValue;  // in the stage's graph
  int chunk = 0;                         // of this stage
  bool down = true;                      // to or from a later stage: an activation; else a gradient
  bool receive = false;
  std::string what;  // "conv1 to chunk 1", the same at both ends
};

struct StageGraph {
  core::Graph graph;  // Node::chunk numbers the stage's own
  std::vector<Crossing> crossings;
};

// `whole` is a graph whose nodes have the network's chunks: forward, and backward if it was
// differentiated. A value that is used several chunks away passes through those between, and has a
// name of its own in each ("conv1@chunk2"), so messages pass between neighbours alone and meet in
// one order. Inputs are all kept, and what is only a view of them is made wherever it is used.
// Losses and metrics of other stages have no value; the first of a stage's nodes that writes a
// parameter's gradient does not add to it.
// Throws InvalidArgument if a chunk uses what a later one makes.
StageGraph extract_stage(const core::Graph& whole, const StagePlace& place);

}  // namespace trireme::parallel

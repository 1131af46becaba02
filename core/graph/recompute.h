// Activations that are computed again in backward instead of being kept.
//
// Source: Chen et al., Training Deep Nets with Sublinear Memory Cost (2016): of a block, what
// enters it is kept; the rest is made again right before the block's backward needs it.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "core/graph/graph.h"

namespace trireme::core {

// The names of the graph's blocks (Graph::set_block), in order.
std::vector<std::string> blocks_of(const Graph& graph);

// What a block keeps for backward, and would not if it were computed again.
struct BlockStash {
  std::string block;
  int chunk = 0;
  int64_t bytes = 0;  // of one micro-batch
};

// Of the blocks of a differentiated graph, in order, those left out that keep nothing.
std::vector<BlockStash> stashes_of(const Graph& graph);

// In a differentiated graph: gives backward its own copies ("NAME/again") of the forward nodes of
// these blocks whose results it reads and nobody outside of the block does. What the copies make is
// the same, bit for bit: random numbers have no state.
void recompute(Graph& graph, const std::set<std::string>& blocks);

}  // namespace trireme::core

// A chain of nodes cut into runs of nearly equal cost, by dynamic programming.
#pragma once

#include <cstdint>
#include <vector>

namespace trireme::parallel {

struct CutPoint {
  int position = 0;    // between node position - 1 and node position
  int64_t bytes = 0;   // that cross it in one micro-batch, down and up
  double cost = 0;     // of moving them, to the chunk on either side
  bool border = true;  // of two blocks of the model
};

struct Chain {
  std::vector<double> cost;          // by node, forward and backward of one micro-batch
  std::vector<int64_t> fixed_bytes;  // by node: parameters and what mirrors them
  std::vector<int64_t> stash_bytes;  // by node, of one micro-batch in flight
  std::vector<CutPoint> cuts;        // where it may be cut, ascending
};

struct CutRules {
  int chunks = 1;
  std::vector<int> stashes;               // micro-batches in flight, by chunk; none: 1 each
  int64_t memory_limit = 0;               // bytes of one chunk; 0: none
  static constexpr double kSlack = 0.05;  // of the best bottleneck, for cuts at better places
};

struct CutChoice {
  bool feasible = false;  // a choice keeps every chunk within the memory limit
  std::vector<int> cuts;  // indices into Chain::cuts, ascending
};

// A chunk's cost is that of its nodes and of moving what crosses its ends. Let b be the smallest
// possible cost of the costliest chunk: of all choices whose costliest is within 1.05 b, one with
// the fewest cuts inside blocks, of those one with the fewest bytes crossing.
// O(chunks x cuts^2).
CutChoice best_cuts(const Chain& chain, const CutRules& rules);

}  // namespace trireme::parallel

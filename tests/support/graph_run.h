// Runs a graph node by node, each value in memory of its own: the reference for what programs do,
// and a short way to run one rank's graph after a rewrite.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "core/graph/graph.h"

namespace trireme::test {

// What a run made, by the value's name, f32 and f64 as doubles. Of views: nothing.
using GraphValues = std::map<std::string, std::vector<double>>;

struct GraphFeeds {
  std::map<std::string, std::vector<float>> floats;  // inputs by name
  std::map<std::string, std::vector<int32_t>> integers;
  uint64_t seed =
      3;  // of parameters' first values, which are slices of the whole's, and of dropout
};

// `group`: the ranks of the tensor axis, for nodes that are exchanges; null: there are none.
GraphValues run_graph(const core::Graph& graph, const GraphFeeds& feeds,
                      comm::Communicator* group = nullptr);

}  // namespace trireme::test

// From a graph to a program: operands get addresses, values get lives, segments get instructions.
#pragma once

#include <functional>
#include <span>

#include "core/program/program.h"

namespace trireme::core {

// A collective that may start once node `after` of the graph has run.
struct CollectiveAfter {
  NodeId after = kNoNode;
  PlannedCollective collective;
};

struct BuildOptions {
  std::string name = "train";
  DeviceKind device = DeviceKind::kCpu;
  int64_t micro_batch = 1;
  int micro_batches = 1;
  bool update = false;                            // ends with the optimizer
  std::vector<CollectiveAfter> reductions;        // with the last micro-batch, on the data stream
  std::vector<PlannedCollective> after_backward;  // the control vector
};

// `layout` gives the parameters' offsets. Every loss and metric of the graph gets two f64 in the
// control arena, in the order losses, metrics; kVotes more f64 behind them are the ranks' votes.
Program build_program(Graph graph, const FlatLayout& layout, const BuildOptions& options);

// Elements of the control vector of a graph: 2 f64 for each loss and metric, and the votes.
int64_t control_elements(const Graph& graph);

}  // namespace trireme::core

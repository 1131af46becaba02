// From a graph to a program: segments, schedule, arenas. Parallel decides which nodes a rank runs,
// in which turns, and where collectives go; build places all of it and knows nothing of why.
#pragma once

#include <optional>
#include <span>
#include <variant>

#include "core/program/program.h"
#include "core/program/segment_plan.h"

namespace trireme::core {

// What else happens among the nodes of a segment; insertions at one node in the order given.
struct Insertion {
  NodeId node = kNoNode;
  bool before = false;            // else behind the node
  bool last_micro_batch = false;  // with the last micro-batch only
  // Start a collective on the data stream; wait for the one that another insertion, by its number,
  // has started before; or add a sum to what earlier micro-batches left.
  struct Wait {
    size_t insertion = 0;
  };
  std::variant<PlannedCollective, Wait, PlannedAccumulation> what;
};

struct BuildOptions {
  std::string name = "train";
  DeviceKind device = DeviceKind::kCpu;
  int64_t micro_batch = 1;
  int micro_batches = 1;
  std::vector<SegmentPlan> segments;  // empty: whole_graph()
  std::vector<Turn> turns;            // empty: one_after_another()
  bool update = false;                // ends with the optimizer
  // Whether this rank's sums of losses and metrics count; else another rank has the same ones.
  bool counts_sums = true;
  std::vector<Insertion> insertions;
  // Whether gradients replace the last micro-batch's, which has been accumulated elsewhere.
  bool fresh_gradients = false;
  // Whether parameters come and go within a segment: prepared forms are then made at each use.
  bool transient_parameters = false;
  int64_t gathered_bytes = 0;                       // of Arena::kGathered
  std::vector<PlannedCollective> after_backward;    // the control vector, in order
  std::optional<PlannedCollective> norm_reduction;  // of the sum of squares, if others have a part
  std::vector<PlannedCollective> after_update;
};

// `layout` gives the parameters' offsets. Every loss and metric of the graph gets two f64 in the
// control arena, in the order losses, metrics; kVotes more f64 behind them are the ranks' votes.
// Those that no node of this rank makes stay zero.
Program build_program(Graph graph, const FlatLayout& layout, const BuildOptions& options);

// Elements of the control vector of a graph: 2 f64 for each loss and metric, and the votes.
int64_t control_elements(const Graph& graph);

}  // namespace trireme::core

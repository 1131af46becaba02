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
  bool last_of_leaf = false;      // with a leaf's last micro-batch only
  bool last_micro_batch = false;  // with the last micro-batch only
  // Start a collective on the data stream; wait for the one that another insertion, by its number,
  // has started before; add a sum to what earlier micro-batches left; or add up leaves.
  struct Wait {
    size_t insertion = 0;
  };
  std::variant<PlannedCollective, Wait, PlannedAccumulation, PlannedAddition, PlannedCarry> what;
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
  // Micro-batches in a leaf, whose first one's gradients replace what was there; 0: all of a step.
  int leaf_micro_batches = 0;
  int64_t leaf_skip = 0;   // Program::leaf_skip
  int64_t leaf_bytes = 0;  // of Arena::kLeaves
  // Whether losses, metrics, votes and the norm are summed exactly. Reductions of them are then of
  // Arena::kExact: control_elements() sums, and behind them the norm's.
  bool exact_sums = false;
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

// Where the exact sums of the control vector, and of the norm, lie in Arena::kExact.
PlannedExactSum exact_control(const Graph& graph);
PlannedExactSum exact_norm(const Graph& graph);

}  // namespace trireme::core

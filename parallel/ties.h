// Parameters that several stages of a pipeline hold: a token table that also makes the logits.
//
// Each of those stages keeps the parameter, draws the same first values, and adds up its own
// part of the gradient. At the end of backward the parts are summed over kTieGroup, before the data
// ranks' reduction, so the updates are equal as well. The first of the stages counts it in the
// norm.
#pragma once

#include <string>
#include <vector>

#include "core/program/build.h"
#include "parallel/stage_graph.h"

namespace trireme::parallel {

struct Ties {
  std::vector<std::string> parameters;
  std::vector<int> stages;  // ascending

  bool hold(int stage) const;
  bool is_tied(const std::string& parameter) const;
};

// `whole` is the network with its chunks. Throws InvalidArgument, with the fix, if two parameters
// are shared by different stages.
Ties find_ties(const core::Graph& whole, const StagePlace& place);

// The sum over kTieGroup of tied gradients that lie at `location`.
core::PlannedCollective tie_reduction(const std::string& what, core::Location location,
                                      int64_t elements);

// The last node of a stage's graph that makes a parameter's gradient.
core::NodeId last_gradient_node(const core::Graph& stage);

}  // namespace trireme::parallel

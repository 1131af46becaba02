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
#include "parallel/data_sharding.h"
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

// The sums over kTieGroup, to stand behind all other reductions of `options`. The layout, of the
// stage, has the tied parameters last, in buckets of their own, alike on all of the stages.
void add_tie_reductions(const Ties& ties, const core::FlatLayout& layout,
                        const DataSharding& sharding, core::BuildOptions& options);

}  // namespace trireme::parallel

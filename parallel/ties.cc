#include "parallel/ties.h"

#include <algorithm>
#include <map>
#include <set>

#include "core/base/error.h"
#include "parallel/groups.h"

namespace trireme::parallel {
namespace {

std::map<core::ValueId, std::set<int>> stages_by_parameter(const core::Graph& whole,
                                                           const StagePlace& place) {
  std::map<core::ValueId, std::set<int>> stages;
  for (const core::Node& node : whole.nodes())
    for (core::ValueId input : node.inputs)
      if (input != core::kNoValue && whole.value(input).role == core::Role::kParameter)
        stages[input].insert(node.chunk % place.stages);
  return stages;
}

}  // namespace

bool Ties::hold(int stage) const { return std::ranges::find(stages, stage) != stages.end(); }

bool Ties::is_tied(const std::string& parameter) const {
  return std::ranges::find(parameters, parameter) != parameters.end();
}

Ties find_ties(const core::Graph& whole, const StagePlace& place) {
  Ties ties;
  for (const auto& [parameter, stages] : stages_by_parameter(whole, place)) {
    if (stages.size() < 2) continue;
    const std::string& name = whole.value(parameter).name;
    const std::vector<int> sorted(stages.begin(), stages.end());
    if (!ties.stages.empty() && sorted != ties.stages)
      fail(
          "[pipeline] '{}' is shared by stages {}, but '{}' by stages {}: shared parameters must "
          "lie in the same stages; use fewer stages, or set parallel.stages",
          ties.parameters.front(), fmt::join(ties.stages, ", "), name, fmt::join(sorted, ", "));
    ties.stages = sorted;
    ties.parameters.push_back(name);
  }
  return ties;
}

void add_tie_reductions(const Ties& ties, const core::FlatLayout& layout,
                        const DataSharding& sharding, core::BuildOptions& options) {
  core::NodeId last = core::kNoNode;
  for (const core::SegmentPlan& segment : options.segments)
    if (!segment.nodes.empty()) last = segment.nodes.back();
  for (size_t b = 0; b < layout.buckets.size(); ++b) {
    if (!ties.is_tied(layout.parameters[layout.buckets[b].first_parameter].name)) continue;
    const core::ElementRange range = sharding.summed_gradients(b);
    options.insertions.push_back(
        {.node = last,
         .last_micro_batch = true,
         .what = core::PlannedCollective{
             .kind = core::CollectiveKind::kAllReduce,
             .op = core::ReduceOp::kSum,
             .dtype = core::DType::kF32,
             .group = kTieGroup,
             .location = {core::Arena::kGradients, range.begin * size_of(core::DType::kF32)},
             .count = range.elements(),
             .what = fmt::format("shared {}",
                                 layout.parameters[layout.buckets[b].first_parameter].name)}});
  }
}

}  // namespace trireme::parallel

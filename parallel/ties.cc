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

core::NodeId last_gradient_node(const core::Graph& stage) {
  core::NodeId last = core::kNoNode;
  for (core::NodeId id = 0; id < static_cast<core::NodeId>(stage.nodes().size()); ++id)
    for (core::ValueId output : stage.node(id).outputs)
      if (stage.value(output).role == core::Role::kGradient) last = id;
  return last;
}

core::PlannedCollective tie_reduction(const std::string& what, core::Location location,
                                      int64_t elements) {
  return {.kind = core::CollectiveKind::kAllReduce,
          .op = core::ReduceOp::kSum,
          .dtype = core::DType::kF32,
          .group = kTieGroup,
          .location = location,
          .count = elements,
          .what = "tied " + what};
}

}  // namespace trireme::parallel

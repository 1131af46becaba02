#include "core/optim/parameter_groups.h"

#include <algorithm>

#include "core/base/error.h"

namespace trireme::core {
namespace {

const ParameterGroup* group_of(const std::string& name, const std::vector<ParameterGroup>& groups) {
  const auto found = std::ranges::find_if(
      groups, [&](const ParameterGroup& group) { return matches(group.match, name); });
  return found == groups.end() ? nullptr : &*found;
}

}  // namespace

bool matches(const std::string& pattern, const std::string& name) {
  // The classic two-pointer walk: on a mismatch, let the last star take one character more.
  size_t p = 0, n = 0, star = std::string::npos, taken = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      taken = n;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == name[n])) {
      ++p;
      ++n;
    } else if (star != std::string::npos) {
      p = star + 1;
      n = ++taken;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

std::vector<std::string> frozen_parameters(const Graph& graph,
                                           const std::vector<ParameterGroup>& groups) {
  const std::vector<ValueId> parameters = graph.with_role(Role::kParameter);
  for (const ParameterGroup& group : groups)
    if (std::ranges::none_of(
            parameters, [&](ValueId id) { return matches(group.match, graph.value(id).name); }))
      fail("[group] match: \"{}\" matches no parameter; `trireme summary JOB` lists their names",
           group.match);
  std::vector<std::string> frozen;
  for (ValueId id : parameters) {
    const ParameterGroup* group = group_of(graph.value(id).name, groups);
    if (group && group->frozen) frozen.push_back(graph.value(id).name);
  }
  return frozen;
}

std::vector<UpdateRange> update_ranges(const FlatLayout& layout, const OptimizerOptions& optimizer,
                                       const std::vector<ParameterGroup>& groups) {
  std::vector<UpdateRange> ranges;
  for (const FlatParameter& parameter : layout.parameters) {
    if (!parameter.trained) continue;
    UpdateRange range{.begin = parameter.offset, .end = parameter.offset + parameter.elements};
    range.weight_decay = parameter.shape.rank() < 2 ? 0 : weight_decay(optimizer);
    if (const ParameterGroup* group = group_of(parameter.name, groups)) {
      range.weight_decay = group->weight_decay.value_or(range.weight_decay);
      range.lr_scale = group->lr_scale;
    }
    UpdateRange* last = ranges.empty() ? nullptr : &ranges.back();
    // The padding between two parameters is zero, has zero gradients and stays zero: one range
    // may run over it.
    if (last && last->weight_decay == range.weight_decay && last->lr_scale == range.lr_scale)
      last->end = range.end;
    else
      ranges.push_back(range);
  }
  return ranges;
}

}  // namespace trireme::core

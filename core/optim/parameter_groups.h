// Parameter groups by name pattern: who decays, who learns slower, who is frozen.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/optim/optimizer.h"
#include "core/program/flat_layout.h"

namespace trireme::core {

// Applies to every parameter whose whole name the pattern matches. '*' stands for any run of
// characters, '/' included; '?' for one. The first group that matches counts.
struct ParameterGroup {
  std::string match;
  std::optional<float> weight_decay;  // else the optimizer's, and 0 for tensors of rank < 2
  float lr_scale = 1;
  bool frozen = false;
};

bool matches(const std::string& pattern, const std::string& name);

// Names of the graph's parameters that the groups freeze. Throws InvalidArgument for a group that
// matches no parameter: a misspelt pattern would otherwise do nothing.
std::vector<std::string> frozen_parameters(const Graph& graph,
                                           const std::vector<ParameterGroup>& groups);

// The update's table: neighbouring parameters that are updated alike share a range. Parameters of
// fewer than two dimensions (biases, norms) do not decay unless a group says so.
std::vector<UpdateRange> update_ranges(const FlatLayout& layout, const OptimizerOptions& optimizer,
                                       const std::vector<ParameterGroup>& groups);

}  // namespace trireme::core

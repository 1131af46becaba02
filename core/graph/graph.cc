#include "core/graph/graph.h"

#include <fmt/ranges.h>

#include <numeric>

#include "core/base/error.h"

namespace trireme::core {
namespace {

const ValueType kAbsent{};

}  // namespace

ValueId Graph::new_value(Value value) {
  if (find(value.name) != kNoValue)
    fail("[graph] has two values named '{}': names must be unique", value.name);
  const auto id = static_cast<ValueId>(values_.size());
  ids_.emplace(value.name, id);
  values_.push_back(std::move(value));
  return id;
}

ValueId Graph::input(std::string name, ValueType type) {
  return new_value({.name = std::move(name), .type = type, .role = Role::kInput});
}

ValueId Graph::state(std::string name, ValueType type) {
  return new_value({.name = std::move(name), .type = type, .role = Role::kState});
}

ValueId Graph::parameter(std::string name, ValueType type, Init init, SplitHint split) {
  if (type.elements() == 0) fail("[graph] parameter '{}' is empty: {}", name, type.str());
  if (split.dim >= type.shape.rank())
    fail("[graph] parameter '{}' {} has no dimension {} to be split", name, type.str(), split.dim);
  if (!split.parts.empty() &&
      std::accumulate(split.parts.begin(), split.parts.end(), int64_t{0}) != type.shape[split.dim])
    fail("[graph] parameter '{}' {} expects parts that make up dimension {}, got {}", name,
         type.str(), split.dim, fmt::join(split.parts, " + "));
  return new_value({.name = std::move(name),
                    .type = type,
                    .role = Role::kParameter,
                    .init = init,
                    .split = std::move(split)});
}

void Graph::set_slice(ValueId parameter, Slice slice, bool partial_gradient) {
  values_[parameter].slice = std::move(slice);
  values_[parameter].partial_gradient = partial_gradient;
}

std::vector<ValueId> Graph::add(std::string name, OpPtr op, std::vector<ValueId> inputs) {
  Node node{
      .name = std::move(name), .block = block_, .op = std::move(op), .inputs = std::move(inputs)};
  std::vector<ValueType> types;
  try {
    types = node.op->infer(input_types(node));
  } catch (const InvalidArgument& error) {
    throw InvalidArgument(fmt::format("layer '{}': {}", node.name, error.what()), error.code());
  }
  const auto id = static_cast<NodeId>(nodes_.size());
  for (size_t i = 0; i < types.size(); ++i) {
    std::string output = i == 0 ? node.name : fmt::format("{}:{}", node.name, i);
    node.outputs.push_back(
        new_value({.name = std::move(output), .type = types[i], .producer = id}));
  }
  nodes_.push_back(std::move(node));
  return nodes_.back().outputs;
}

ValueId Graph::add1(std::string name, OpPtr op, std::vector<ValueId> inputs) {
  return add(std::move(name), std::move(op), std::move(inputs)).front();
}

NodeId Graph::append(Node node) {
  const auto id = static_cast<NodeId>(nodes_.size());
  for (ValueId output : node.outputs)
    if (values_[output].producer == kNoNode) values_[output].producer = id;
  nodes_.push_back(std::move(node));
  return id;
}

void Graph::add_loss(std::string name, ValueId value, float weight, int64_t nominal_per_sample) {
  if (value != kNoValue) values_[value].role = Role::kLoss;
  losses_.push_back({std::move(name), value, weight, nominal_per_sample});
}

void Graph::add_metric(std::string name, ValueId value) {
  if (value != kNoValue) values_[value].role = Role::kMetric;
  metrics_.push_back({.name = std::move(name), .value = value});
}

const ValueType& Graph::type(ValueId id) const {
  return id == kNoValue ? kAbsent : values_[id].type;
}

std::vector<ValueId> Graph::with_role(Role role) const {
  std::vector<ValueId> ids;
  for (size_t i = 0; i < values_.size(); ++i)
    if (values_[i].role == role) ids.push_back(static_cast<ValueId>(i));
  return ids;
}

ValueId Graph::find(const std::string& name) const {
  const auto found = ids_.find(name);
  return found == ids_.end() ? kNoValue : found->second;
}

std::vector<ValueType> Graph::input_types(const Node& node) const {
  std::vector<ValueType> types;
  for (ValueId id : node.inputs) types.push_back(type(id));
  return types;
}

std::vector<ValueType> Graph::output_types(const Node& node) const {
  std::vector<ValueType> types;
  for (ValueId id : node.outputs) types.push_back(type(id));
  return types;
}

}  // namespace trireme::core

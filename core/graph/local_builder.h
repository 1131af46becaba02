// What an op sees while it turns itself into the nodes that one rank of the tensor axis runs.
#pragma once

#include <string>
#include <vector>

#include "core/graph/graph.h"

namespace trireme::core {

class LocalBuilder {
 public:
  LocalBuilder(Graph& graph, const Node& node, const ShardingRequest& types,
               const ShardingRule& rule, const TensorPlace& place, std::vector<ValueId> inputs)
      : graph_(graph),
        node_(node),
        types_(types),
        rule_(rule),
        place_(place),
        inputs_(std::move(inputs)) {}

  const TensorPlace& place() const { return place_; }
  const ShardingRule& rule() const { return rule_; }
  // Before the cut.
  const ValueType& input_type(int i) const { return types_.inputs[i]; }
  const ValueType& output_type(int i) const { return types_.outputs[i]; }
  // The op before the cut.
  const OpPtr& op() const { return node_.op; }

  // In the local graph; kNoValue past the end.
  ValueId input(int i) const {
    return i < static_cast<int>(inputs_.size()) ? inputs_[i] : kNoValue;
  }
  const std::vector<ValueId>& inputs() const { return inputs_; }
  const ValueType& type(ValueId id) const { return graph_.type(id); }

  // Appends a node "<name>" or "<name>/<suffix>".
  std::vector<ValueId> add(const std::string& suffix, OpPtr op, std::vector<ValueId> inputs) {
    return graph_.add(suffix.empty() ? node_.name : node_.name + "/" + suffix, std::move(op),
                      std::move(inputs));
  }

 private:
  Graph& graph_;
  const Node& node_;
  const ShardingRequest& types_;
  const ShardingRule& rule_;
  const TensorPlace& place_;
  std::vector<ValueId> inputs_;
};

}  // namespace trireme::core

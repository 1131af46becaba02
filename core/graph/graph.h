// A network as a graph of ops: no device, no rank, memory without end.
//
// Nodes are ops in an order in which they can run. Values have a name, a type and a role. Models
// build a graph for one micro-batch as if there were one device; `differentiate` appends the
// backward nodes; parallel turns the result into a Program.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/graph/op.h"
#include "core/graph/slice.h"

namespace trireme::core {

using NodeId = int32_t;
constexpr ValueId kNoValue = -1;
constexpr NodeId kNoNode = -1;

enum class Role : uint8_t { kInput, kParameter, kState, kActivation, kGradient, kLoss, kMetric };

// How a parameter's first values are drawn. fan-based rules are resolved by the model builder.
struct Init {
  enum class Kind : uint8_t { kConstant, kUniform, kNormal } kind = Kind::kConstant;
  float a = 0;  // the constant; the lower bound; the mean
  float b = 0;  // the upper bound; the standard deviation

  static Init constant(float value) { return {Kind::kConstant, value, 0}; }
  static Init uniform(float low, float high) { return {Kind::kUniform, low, high}; }
  static Init normal(float mean, float stddev) { return {Kind::kNormal, mean, stddev}; }
};

struct Value {
  std::string name;  // "conv1/weight", unique in the graph
  ValueType type;
  Role role = Role::kActivation;
  NodeId producer = kNoNode;
  Init init;        // of a parameter
  SplitHint split;  // of a parameter: where the tensor axis may cut it
  Slice slice;      // of a parameter: the part of it that this is
  // Of a parameter: each rank of the tensor axis has a part of its gradient's sum. It is added up
  // once a step, behind the last micro-batch.
  bool partial_gradient = false;
  ValueId parameter = kNoValue;  // of a gradient: the parameter it belongs to
};

// Backward nodes that make the gradient of an activation and those that make the gradient of a
// parameter are told apart, so that a schedule may move them separately.
enum class Phase : uint8_t { kForward, kInputBackward, kWeightBackward };

struct Node {
  std::string name;   // "conv1", "conv1/grad_weight"
  std::string block;  // the repeated unit it belongs to ("block3"), or empty
  OpPtr op;
  std::vector<ValueId> inputs;  // kNoValue: an absent optional operand
  std::vector<ValueId> outputs;
  Phase phase = Phase::kForward;
  int chunk = 0;  // of the network, cut for a pipeline; backward nodes have their forward's
  bool accumulate = false;  // adds to outputs that an earlier node wrote (a parameter used twice)
};

// A named sum of per-sample terms and the sum of their weights: one f64 value of shape (2).
struct NamedSum {
  std::string name;  // "loss", "accuracy"
  ValueId value = kNoValue;
  float weight = 1;                // of a loss in the total; unused for metrics
  int64_t nominal_per_sample = 1;  // terms that one sample contributes (tokens, for language)
};

class Graph {
 public:
  ValueId input(std::string name, ValueType type);
  ValueId parameter(std::string name, ValueType type, Init init, SplitHint split = {});
  // A value that outlives a run: a cache of keys and values. Of Inference alone: training refuses
  // it, and what is kept, since checkpoints do not hold them.
  ValueId state(std::string name, ValueType type);
  // What a node makes stays as it is until the node runs again, for the host to read. A view is
  // not made: build_program refuses it.
  void keep(ValueId id) { values_[id].role = Role::kState; }

  // Appends a node, infers its outputs' types and names them after it ("conv1", "conv1:1", ...).
  // Throws InvalidArgument, with the node's name in front, if the op refuses the inputs.
  std::vector<ValueId> add(std::string name, OpPtr op, std::vector<ValueId> inputs);
  // The same for an op with one output.
  ValueId add1(std::string name, OpPtr op, std::vector<ValueId> inputs);

  // What a rewrite that cuts parameters says of them.
  void set_slice(ValueId parameter, Slice slice, bool partial_gradient);

  void add_loss(std::string name, ValueId value, float weight, int64_t nominal_per_sample);
  void add_metric(std::string name, ValueId value);
  void set_block(std::string block) { block_ = std::move(block); }

  // For rewrites. Appended nodes name values that are there already; a sum whose value is kNoValue
  // is made elsewhere.
  ValueId append(Value value) { return new_value(std::move(value)); }
  NodeId append(Node node);
  void set_chunk(NodeId id, int chunk) { nodes_[id].chunk = chunk; }
  void set_op(NodeId id, OpPtr op) { nodes_[id].op = std::move(op); }  // of the same types
  void set_block_of(NodeId id, std::string block) { nodes_[id].block = std::move(block); }

  const std::vector<Node>& nodes() const { return nodes_; }
  const std::vector<Value>& values() const { return values_; }
  const Node& node(NodeId id) const { return nodes_[id]; }
  const Value& value(ValueId id) const { return values_[id]; }
  const ValueType& type(ValueId id) const;
  const std::vector<NamedSum>& losses() const { return losses_; }
  const std::vector<NamedSum>& metrics() const { return metrics_; }
  std::vector<ValueId> with_role(Role role) const;
  ValueId find(const std::string& name) const;  // kNoValue if there is none

  std::vector<ValueType> input_types(const Node& node) const;
  std::vector<ValueType> output_types(const Node& node) const;

 private:
  friend class GradientBuilder;
  friend class Differentiator;
  friend class Recomputer;
  ValueId new_value(Value value);

  std::vector<Node> nodes_;
  std::vector<Value> values_;
  std::unordered_map<std::string, ValueId> ids_;
  std::vector<NamedSum> losses_;
  std::vector<NamedSum> metrics_;
  std::string block_;
};

}  // namespace trireme::core

#include "core/graph/differentiate.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/ops/add.h"

namespace trireme::core {

GradientBuilder::GradientBuilder(Graph& graph, const Node& node)
    : graph_(graph), node_(node), input_gradients_(node.inputs.size(), kNoValue) {}

bool GradientBuilder::has_input(int i) const {
  return i < static_cast<int>(node_.inputs.size()) && node_.inputs[i] != kNoValue;
}

Node& GradientBuilder::append(const std::string& suffix, OpPtr op, std::vector<ValueId> inputs) {
  graph_.nodes_.push_back({.name = fmt::format("{}/grad_{}", node_.name, suffix),
                           .block = node_.block,
                           .op = std::move(op),
                           .inputs = std::move(inputs),
                           .outputs = {},
                           .phase = Phase::kInputBackward,
                           .chunk = node_.chunk});
  return graph_.nodes_.back();
}

void GradientBuilder::emit(std::string suffix, OpPtr op, std::vector<ValueId> inputs,
                           std::vector<int> of_inputs) {
  const auto id = static_cast<NodeId>(graph_.nodes_.size());
  Node& node = append(suffix, std::move(op), std::move(inputs));
  const std::vector<ValueType> types = node.op->infer(graph_.input_types(node));
  ensure(types.size() == of_inputs.size(), "a backward node makes one gradient an output");
  const bool of_parameter = graph_.value(node_.inputs[of_inputs.front()]).role == Role::kParameter;
  if (of_parameter) {
    node.phase = Phase::kWeightBackward;
    ensure(node.op->accumulates(), "the gradient of a parameter accumulates over micro-batches");
    if (!separate_uses_ &&
        graph_.find(graph_.value(node_.inputs[of_inputs.front()]).name + "/grad") != kNoValue)
      return accumulate_into(node, of_inputs);
  }
  for (size_t i = 0; i < types.size(); ++i) {
    const ValueId of = node_.inputs[of_inputs[i]];
    Value value{.name = graph_.value(of).name + "/grad", .type = types[i], .producer = id};
    if (of_parameter && wants_[of_inputs[i]]) {
      value.name = gradient_name(graph_.value(of).name);
      value.role = Role::kGradient;
      value.parameter = of;
    } else if (of_parameter) {
      value.name += ":unused";  // of a frozen weight whose bias is trained: made, and dropped
    } else {
      value.name = fmt::format("{}@{}", value.name, id);  // one of several contributions
    }
    const ValueId gradient = graph_.new_value(std::move(value));
    graph_.nodes_[id].outputs.push_back(gradient);
    input_gradients_[of_inputs[i]] = gradient;
  }
}

// A parameter used by several nodes: later contributions are added where the first was written.
void GradientBuilder::accumulate_into(Node& node, const std::vector<int>& of_inputs) {
  node.accumulate = true;
  for (int i : of_inputs) {
    const std::string& name = graph_.value(node_.inputs[i]).name;
    const ValueId gradient = graph_.find(name + "/grad");
    if (gradient == kNoValue)
      fail("layer '{}' shares a parameter with another layer but not '{}': share both or none",
           node_.name, name);
    node.outputs.push_back(gradient);
    input_gradients_[i] = gradient;
  }
}

// That of the first use, or the next free one of the later uses.
std::string GradientBuilder::gradient_name(const std::string& parameter) const {
  std::string name = parameter + "/grad";
  for (int use = 1; graph_.find(name) != kNoValue; ++use)
    name = fmt::format("{}/grad@{}", parameter, use);
  return name;
}

std::vector<ValueId> GradientBuilder::emit_intermediate(std::string suffix, OpPtr op,
                                                        std::vector<ValueId> inputs) {
  const auto id = static_cast<NodeId>(graph_.nodes_.size());
  Node& node = append(suffix, std::move(op), std::move(inputs));
  const std::string name = node.name;
  const std::vector<ValueType> types = node.op->infer(graph_.input_types(node));
  for (size_t i = 0; i < types.size(); ++i)
    graph_.nodes_[id].outputs.push_back(graph_.new_value(
        {.name = i == 0 ? name : fmt::format("{}:{}", name, i), .type = types[i], .producer = id}));
  return graph_.nodes_[id].outputs;
}

void GradientBuilder::pass(int i, ValueId gradient) {
  if (graph_.value(node_.inputs[i]).role == Role::kParameter)
    fail("layer '{}': [{}] cannot take the parameter '{}' as an operand", node_.name,
         node_.op->type(), graph_.value(node_.inputs[i]).name);
  input_gradients_[i] = gradient;
}

class Differentiator {
 public:
  Differentiator(Graph& graph, const DifferentiateOptions& options)
      : graph_(graph), options_(options) {}

  void run() {
    if (graph_.losses_.empty()) fail("[differentiate] expects a loss, the graph has none");
    mark_wanted();
    contributions_.resize(graph_.values_.size());
    for (auto id = static_cast<NodeId>(graph_.nodes_.size()) - 1; id >= 0; --id) visit(id);
    if (graph_.with_role(Role::kGradient).empty())
      fail("[differentiate] found nothing to train: no loss depends on a trained parameter");
  }

 private:
  // wanted_[v]: v is a trained parameter or is computed from one.
  void mark_wanted() {
    wanted_.assign(graph_.values_.size(), false);
    for (ValueId p : graph_.with_role(Role::kParameter))
      wanted_[p] =
          std::ranges::find(options_.frozen, graph_.value(p).name) == options_.frozen.end();
    for (const Node& node : graph_.nodes_) {
      const bool any = node.op->passes_gradient() &&
                       std::ranges::any_of(
                           node.inputs, [&](ValueId id) { return id != kNoValue && wanted_[id]; });
      for (ValueId id : node.outputs) wanted_[id] = any;
    }
  }

  void visit(NodeId id) {
    GradientBuilder builder(graph_, graph_.node(id));
    builder.separate_uses_ = options_.separate_uses;
    bool reached = false;
    for (ValueId output : builder.node_.outputs) {
      builder.output_gradients_.push_back(total(output));
      reached |= builder.output_gradients_.back() != kNoValue;
    }
    if (const NamedSum* loss = loss_made_by(builder.node_)) {
      const double nominal = static_cast<double>(loss->nominal_per_sample) *
                             static_cast<double>(options_.global_batch);
      builder.loss_seed_ = static_cast<float>(loss->weight * options_.loss_scale / nominal);
      reached = true;
    }
    for (ValueId input : builder.node_.inputs)
      builder.wants_.push_back(input != kNoValue && wanted_[input]);
    if (!reached || std::ranges::find(builder.wants_, true) == builder.wants_.end()) return;
    builder.node_.op->gradient(builder);
    contributions_.resize(graph_.values_.size());
    for (size_t i = 0; i < builder.node_.inputs.size(); ++i)
      if (builder.wants_[i]) {
        ensure(builder.input_gradients_[i] != kNoValue,
               fmt::format("[{}] gave no gradient for input {}", builder.node_.op->type(), i));
        contributions_[builder.node_.inputs[i]].push_back(builder.input_gradients_[i]);
      }
  }

  // The gradient of an activation is the sum of what its uses contribute.
  ValueId total(ValueId value) {
    const std::vector<ValueId>& parts = contributions_[value];
    if (parts.empty()) return kNoValue;
    ValueId sum = parts.front();
    for (size_t i = 1; i < parts.size(); ++i) {
      Node node{.name = fmt::format("{}/grad_sum{}", graph_.value(value).name, i),
                .block = {},
                .op = std::make_shared<Add>(),
                .inputs = {sum, parts[i]},
                .outputs = {},
                .phase = Phase::kInputBackward,
                .chunk = chunk_of_producer(value)};
      const auto id = static_cast<NodeId>(graph_.nodes_.size());
      sum = graph_.new_value({.name = node.name, .type = graph_.type(value), .producer = id});
      node.outputs = {sum};
      graph_.nodes_.push_back(std::move(node));
    }
    return sum;
  }

  // A sum of gradients is made where the value was.
  int chunk_of_producer(ValueId value) const {
    const NodeId producer = graph_.value(value).producer;
    return producer == kNoNode ? 0 : graph_.node(producer).chunk;
  }

  const NamedSum* loss_made_by(const Node& node) const {
    for (const NamedSum& loss : graph_.losses_)
      if (std::ranges::find(node.outputs, loss.value) != node.outputs.end()) return &loss;
    return nullptr;
  }

  Graph& graph_;
  const DifferentiateOptions& options_;
  std::vector<bool> wanted_;
  std::vector<std::vector<ValueId>> contributions_;  // by value
};

void differentiate(Graph& graph, const DifferentiateOptions& options) {
  Differentiator(graph, options).run();
}

}  // namespace trireme::core

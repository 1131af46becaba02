// Reverse-mode differentiation of a graph, by appending nodes to it.
//
// Source: Griewank and Walther, Evaluating Derivatives (2008), section 3.2, on whole tensors.
#pragma once

#include <vector>

#include "core/graph/graph.h"

namespace trireme::core {

// What an op sees while it emits its backward nodes.
class GradientBuilder {
 public:
  ValueId input(int i) const { return node_.inputs[i]; }
  ValueId output(int i) const { return node_.outputs[i]; }
  bool has_input(int i) const;
  const ValueType& type(ValueId id) const { return graph_.type(id); }

  // The gradient of the total loss with respect to output i; kNoValue if none flows back.
  ValueId output_gradient(int i) const { return output_gradients_[i]; }
  // d(total) / d(sum) of a loss op: its weight x loss scale / nominal count, a constant.
  float loss_seed() const { return loss_seed_; }
  // Whether input i leads back to a trained parameter.
  bool wants(int i) const { return wants_[i]; }

  // Appends a node "<node>/grad_<suffix>" whose outputs are the gradients of the inputs that
  // `of_inputs` numbers, in that order: of one, or of several at once (weight and bias). If the
  // first of them is a parameter it is a weight-backward node.
  void emit(std::string suffix, OpPtr op, std::vector<ValueId> inputs, std::vector<int> of_inputs);
  // Appends a node whose outputs are no input's gradient themselves (d of the pre-activation).
  std::vector<ValueId> emit_intermediate(std::string suffix, OpPtr op, std::vector<ValueId> inputs);
  // The gradient of input i is a value that exists already (add: both inputs get it).
  void pass(int i, ValueId gradient);

 private:
  friend class Differentiator;
  GradientBuilder(Graph& graph, const Node& node);
  Node& append(const std::string& suffix, OpPtr op, std::vector<ValueId> inputs);
  void accumulate_into(Node& node, const std::vector<int>& of_inputs);
  std::string gradient_name(const std::string& parameter) const;

  Graph& graph_;
  Node node_;  // a copy: appending nodes moves the graph's own
  std::vector<ValueId> output_gradients_;
  std::vector<bool> wants_;
  std::vector<ValueId> input_gradients_;
  float loss_seed_ = 0;
  bool separate_uses_ = false;
};

struct DifferentiateOptions {
  int64_t global_batch = 1;  // samples in a step, over all ranks and micro-batches
  float loss_scale = 1;
  std::vector<std::string> frozen;  // parameters that get no gradient
  // Whether each use of a parameter has a gradient of its own, for sums whose order must not depend
  // on where the uses are.
  bool separate_uses = false;
};

// Appends the backward nodes of every loss. Afterwards each trained parameter p has exactly one
// gradient value named "p/grad" of role kGradient (contributions of several uses are accumulated
// into it; or, with separate_uses, "p/grad@1" and so on are the second and later uses', in the
// order in which backward comes by). Throws InvalidArgument if there is no loss or nothing to
// train.
void differentiate(Graph& graph, const DifferentiateOptions& options);

}  // namespace trireme::core

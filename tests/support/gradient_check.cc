// The gradient half of op_check.h: the case's op inside a small graph, differentiated.
#include <algorithm>
#include <cmath>
#include <map>

#include "core/base/error.h"
#include "core/graph/differentiate.h"
#include "core/graph/graph.h"
#include "tests/support/node_runner.h"
#include "tests/support/test_ops.h"

namespace trireme::test {
namespace {

constexpr double kStep = 1e-5;  // of the central differences, in double

// How many of an input's elements are differenced: each costs two runs of the reference.
size_t probes(size_t elements) {
  return std::clamp<size_t>(1'000'000 / std::max<size_t>(elements, 1), 20, 300);
}

// What backward is seeded with: weight scale / batch.
struct Seed {
  float weight = 1;
  float scale = 1;
  int64_t batch = 1;
  double value() const { return weight * scale / static_cast<double>(batch); }
};
constexpr Seed kOddSeed{1.75f, 4, 2};  // no factor is 1, so that a lost one shows

bool is_loss(const std::vector<core::ValueType>& outputs) {
  return outputs.front() == core::ValueType{{2}, core::DType::kF64};
}

// op(inputs), its checked inputs being parameters, or activations made from parameters.
class GradientCase {
 public:
  // Along `direction`, or a random one if that is absent.
  GradientCase(OpDevice& device, const OpCase& op_case, Seed seed, HostTensor direction)
      : case_(op_case),
        runner_(device, op_case.setting),
        seed_(seed),
        direction_(std::move(direction)) {}

  std::vector<std::string> run() {
    const auto whole = gradients({});
    for (int input : checked()) compare(input, whole.at(input));
    // Each by itself: an op must not rely on the nodes that other inputs' gradients need.
    for (int input : checked()) {
      std::vector<int> others = checked();
      std::erase(others, input);
      if (others.empty()) break;
      const auto alone = gradients(others);
      const std::string text = difference(alone.at(input).values, whole.at(input).values, 1e-5);
      if (!text.empty()) runner_.report("gradient of input {} by itself, {}", input, text);
    }
    return runner_.problems();
  }

  NodeRunner& runner() { return runner_; }

  // The gradient of every checked input but the frozen ones, by running the graph's nodes.
  std::map<int, HostTensor> gradients(const std::vector<int>& frozen) {
    core::Graph graph;
    build(graph);
    core::DifferentiateOptions options{
        .global_batch = seed_.batch, .loss_scale = seed_.scale, .frozen = {}};
    for (int input : frozen) options.frozen.push_back(parameter_name(input));
    core::differentiate(graph, options);

    std::vector<HostTensor> values(graph.values().size());
    for (int i = 0; i < static_cast<int>(case_.inputs.size()); ++i)
      for (const std::string& name : {parameter_name(i), fmt::format("x{}", i)})
        if (graph.find(name) != core::kNoValue) values[graph.find(name)] = case_.inputs[i];
    if (direction_.present()) values[graph.find("direction")] = direction_;
    for (const core::Node& node : graph.nodes()) run_node(node, values);

    std::map<int, HostTensor> found;
    for (int input : checked())
      if (const auto id = graph.find(parameter_name(input) + "/grad"); id != core::kNoValue)
        found[input] = values[id];
    return found;
  }

 private:
  std::vector<int> checked() const {
    std::vector<int> all = case_.activations;
    all.insert(all.end(), case_.parameters.begin(), case_.parameters.end());
    return all;
  }

  static std::string parameter_name(int input) { return fmt::format("p{}", input); }

  void build(core::Graph& graph) {
    std::vector<core::ValueId> operands;
    for (int i = 0; i < static_cast<int>(case_.inputs.size()); ++i)
      operands.push_back(operand(graph, i));
    const auto outputs = graph.add("op", case_.op, operands);
    core::ValueId loss = outputs.front();
    std::vector<core::ValueType> types = graph.output_types(graph.nodes().back());
    if (!is_loss(types)) {
      if (!direction_.present()) direction_ = Random(23).normal(types.front().shape);
      const core::ValueId direction = graph.input("direction", direction_.type);
      loss = graph.add1("loss", std::make_shared<Projection>(), {outputs.front(), direction});
    }
    graph.add_loss("loss", loss, seed_.weight, 1);
  }

  core::ValueId operand(core::Graph& graph, int i) {
    const HostTensor& input = case_.inputs[i];
    if (!input.present()) return core::kNoValue;
    const std::string name = parameter_name(i);
    if (std::ranges::count(case_.parameters, i) > 0) return graph.parameter(name, input.type, {});
    if (std::ranges::count(case_.activations, i) > 0)
      return graph.add1(fmt::format("x{}", i), std::make_shared<Source>(),
                        {graph.parameter(name, input.type, {})});
    return graph.input(fmt::format("x{}", i), input.type);
  }

  void run_node(const core::Node& node, std::vector<HostTensor>& values) {
    std::vector<HostTensor> inputs;
    for (core::ValueId id : node.inputs)
      inputs.push_back(id == core::kNoValue ? absent() : values[id]);
    const auto* host = dynamic_cast<const HostOp*>(node.op.get());
    const auto outputs = host ? host->evaluate(inputs) : runner_.run(*node.op, inputs);
    for (size_t i = 0; i < node.outputs.size(); ++i) values[node.outputs[i]] = outputs.at(i);
  }

  // The loss that the graph computes, in double.
  double loss(const std::vector<HostTensor>& inputs) const {
    const std::vector<double> output = case_.reference(inputs).front();
    if (!direction_.present()) return seed_.value() * output.front();
    double sum = 0;
    for (size_t i = 0; i < output.size(); ++i) sum += output[i] * direction_.values[i];
    return seed_.value() * sum;
  }

  void compare(int input, const HostTensor& gradient) {
    std::vector<HostTensor> inputs = case_.inputs;
    std::vector<double>& x = inputs[input].values;
    if (gradient.values.size() != x.size())
      return runner_.report("gradient of input {} has another shape", input);
    const size_t stride = (x.size() - 1) / probes(x.size()) + 1;
    std::vector<double> got, want;
    for (size_t i = 0; i < x.size(); i += stride) {
      const double kept = x[i];
      x[i] = kept + kStep;
      const double above = loss(inputs);
      x[i] = kept - kStep;
      const double below = loss(inputs);
      x[i] = kept;
      got.push_back(gradient.values[i]);
      want.push_back((above - below) / (2 * kStep));
    }
    double largest = 0;
    for (double w : want) largest = std::max(largest, std::abs(w));
    if (!(largest >= case_.gradient_floor))
      runner_.report("gradients of input {} are all near zero (largest {:.3g}): proves nothing",
                     input, largest);
    const std::string text = difference(got, want, case_.gradient_tolerance);
    if (!text.empty())
      runner_.report("gradient of input {}, {} (every {}. element)", input, text, stride);
  }

  const OpCase& case_;
  NodeRunner runner_;
  Seed seed_;
  HostTensor direction_;
};

}  // namespace

std::map<int, HostTensor> gradients_of(OpDevice& device, const OpCase& op_case,
                                       const HostTensor& direction) {
  return GradientCase(device, op_case, {}, direction).gradients({});
}

std::vector<std::string> gradient_problems(OpDevice& device, const OpCase& op_case) {
  GradientCase gradient_case(device, op_case, kOddSeed, absent());
  try {
    return gradient_case.run();
  } catch (const std::exception& error) {
    gradient_case.runner().report("{}", error.what());
    return gradient_case.runner().problems();
  }
}

}  // namespace trireme::test

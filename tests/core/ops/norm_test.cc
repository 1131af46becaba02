#include "core/ops/norm.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "core/graph/differentiate.h"
#include "tests/support/op_check.h"
#include "tests/support/references.h"
#include "tests/support/test_ops.h"

namespace trireme::test {
namespace {

using core::DType;
using core::Graph;
using core::Norm;
using core::NormOptions;
using core::Shape;
using core::ValueId;

// y, s = norm(x + residual); the loss is sum(a y) + sum(b s), so that a gradient flows into both.
struct Stream {
  Graph graph;
  std::vector<HostTensor> values;

  explicit Stream(const NormOptions& options) {
    Random random(41);
    const core::ValueType type{{3, 5, 7}, DType::kF32};
    const ValueId x = source("x", random.normal(type.shape));
    const ValueId residual = source("residual", random.normal(type.shape));
    const ValueId weight = parameter("weight", random.normal({7}));
    const auto outputs =
        graph.add("norm", std::make_shared<Norm>(options), {x, weight, core::kNoValue, residual});
    add_loss("of_y", outputs[0], random.normal(type.shape));
    add_loss("of_s", outputs[2], random.normal(type.shape));
    core::differentiate(graph, {});
    values.resize(graph.values().size());
  }

  ValueId parameter(const std::string& name, HostTensor value) {
    const ValueId id = graph.parameter(name, value.type, {});
    given[id] = std::move(value);
    return id;
  }
  ValueId source(const std::string& name, HostTensor value) {
    return graph.add1("source_" + name, std::make_shared<Source>(),
                      {parameter(name, std::move(value))});
  }
  void add_loss(const std::string& name, ValueId of, HostTensor direction) {
    const ValueId along = graph.input(name + "_direction", direction.type);
    given[along] = std::move(direction);
    graph.add_loss(name, graph.add1(name, std::make_shared<Projection>(), {of, along}), 1, 1);
  }

  // The total loss, in double but for the norm itself.
  double run(OpDevice& device) {
    for (const auto& [id, value] : given) values[id] = value;
    for (const core::Node& node : graph.nodes()) {
      std::vector<HostTensor> inputs;
      for (ValueId id : node.inputs) inputs.push_back(id == core::kNoValue ? absent() : values[id]);
      const auto* host = dynamic_cast<const HostOp*>(node.op.get());
      const auto outputs = host ? host->evaluate(inputs) : run_op(device, *node.op, inputs);
      for (size_t i = 0; i < node.outputs.size(); ++i) values[node.outputs[i]] = outputs[i];
    }
    double total = 0;
    for (const core::NamedSum& loss : graph.losses()) total += values[loss.value].values[0];
    return total;
  }

  std::map<ValueId, HostTensor> given;
};

TEST(Norm, ResidualStreamsGradientIsOneValueForBothInputs) {
  for (auto kind : {NormOptions::kLayer, NormOptions::kRms}) {
    Stream stream({.kind = kind});
    const auto count = [&](std::string_view type) {
      return std::ranges::count_if(stream.graph.nodes(),
                                   [=](const auto& node) { return node.op->type() == type; });
    };
    EXPECT_EQ(count("norm_grad"), 1);
    EXPECT_EQ(count("add"), 0);  // what flows into s from later is an operand of norm_grad
  }
}

TEST(Norm, GradientsOfBothOutputsReachXAndResidual) {
  const auto device = make_cpu_op_device(2);
  for (auto kind : {NormOptions::kLayer, NormOptions::kRms}) {
    Stream stream({.kind = kind, .epsilon = 0.1f});
    stream.run(*device);
    for (const char* name : {"x", "residual", "weight"}) {
      const ValueId id = stream.graph.find(name);
      const std::vector<double> got =
          stream.values[stream.graph.find(std::string(name) + "/grad")].values;
      std::vector<double> want;
      // A step far above f32's rounding of the norm: its error is quadratic in the step.
      constexpr double kStep = 1.0 / 256;
      for (double& value : stream.given[id].values) {
        const double kept = value;
        value = kept + kStep;
        const double above = stream.run(*device);
        value = kept - kStep;
        want.push_back((above - stream.run(*device)) / (2 * kStep));
        value = kept;
      }
      EXPECT_EQ(difference(got, want, 2e-3), "") << name;
    }
  }
}

TEST(Norm, RefusesWhatDoesNotFit) {
  const core::ValueType x{{2, 3, 8}, DType::kF32}, width{{8}, DType::kF32};
  const Norm layer({}), rms({.kind = NormOptions::kRms});
  expect_refusal(layer, {x}, "[layer_norm] expects 2 to 4 inputs, got 1");
  expect_refusal(rms, {x, {{7}, DType::kF32}},
                 "[rms_norm] expects weight f32(8), one an element of x's rows, got f32(7)");
  expect_refusal(layer, {x, width, {{1}, DType::kF32}},
                 "[layer_norm] expects bias f32(8), one an element of x's rows, got f32(1)");
  expect_refusal(layer, {x, width, width, {{2, 8}, DType::kF32}},
                 "[layer_norm] expects residual f32(2, 3, 8), as x is, got f32(2, 8)");
  expect_refusal(layer, {{{2, 0}, DType::kF32}, {{0}, DType::kF32}},
                 "[layer_norm] expects x f32(..., H), H at least 1, got f32(2, 0)");
  expect_refusal(Norm({.epsilon = 0}), {x, width}, "[layer_norm] expects epsilon > 0, got 0");
}

// A large common offset: a variance from the mean of squares would have no digit left.
TEST(Norm, LayerNormDoesNotCancel) {
  const auto device = make_cpu_op_device(1);
  HostTensor x = Random(42).normal({2, 96});
  for (double& value : x.values) value = static_cast<float>(4096 + value);
  const HostTensor weight = tensor_of(DType::kF32, {96}, std::vector<double>(96, 1));
  const auto y = run_op(*device, Norm({}), {x, weight})[0].values;
  for (size_t row = 0; row < y.size(); row += 96) {
    double squares = 0;
    for (size_t i = row; i < row + 96; ++i) squares += y[i] * y[i] / 96;
    EXPECT_NEAR(squares, 1, 1e-4);
  }
}

}  // namespace
}  // namespace trireme::test

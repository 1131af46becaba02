#include "core/program/storage.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "core/graph/differentiate.h"
#include "core/ops/activation.h"
#include "core/ops/add.h"
#include "core/ops/linear.h"
#include "core/ops/reshape.h"
#include "core/ops/scale.h"
#include "core/ops/softmax_cross_entropy.h"

namespace trireme::core {
namespace {

// Random elementwise graphs on (8, 32) values, with branches, views and a linear layer here and
// there, differentiated.
Graph random_graph(unsigned seed) {
  std::mt19937 random(seed);
  Graph graph;
  const ValueId data = graph.input("data", {{8, 32}, DType::kF32});
  const ValueId labels = graph.input("labels", {{8}, DType::kI32});
  std::vector<ValueId> values;
  const auto linear = [&](const std::string& name, ValueId x) {
    const ValueId w = graph.parameter(name + "/weight", {{32, 32}, DType::kF32}, {});
    return graph.add(name, std::make_shared<Linear>(LinearOptions{}), {x, w, kNoValue}).front();
  };
  values.push_back(linear("first", data));
  for (int i = 0; i < 12; ++i) {
    const std::string name = "n" + std::to_string(i);
    const ValueId x = values[random() % values.size()], y = values[random() % values.size()];
    switch (random() % 6) {
      case 0:
        values.push_back(linear(name, x));
        break;
      case 1:
        values.push_back(graph.add1(name, std::make_shared<Add>(), {x, y}));
        break;
      case 2:
        values.push_back(graph.add1(name, std::make_shared<Scale>(0.5f), {x}));
        break;
      case 3:
        values.push_back(
            graph.add1(name, std::make_shared<Reshape>(std::vector<int64_t>{32}), {x}));
        break;
      case 4:
        values.push_back(
            graph.add1(name, std::make_shared<Activation>(ActivationKind::kRelu), {x}));
        break;
      default:
        values.push_back(
            graph.add1(name, std::make_shared<Activation>(ActivationKind::kGelu), {x}));
    }
  }
  const auto loss = std::make_shared<SoftmaxCrossEntropy>(SoftmaxCrossEntropyOptions{});
  graph.add_loss("loss", graph.add("loss", loss, {values.back(), labels, kNoValue}).front(), 1, 1);
  differentiate(graph, {.global_batch = 8});
  return graph;
}

// Runs the graph in thought: each value's bytes are stamped with its number when it is made (a
// view keeps its source's stamp), and must bear it still when it is read.
void expect_every_read_sees_what_was_written(const Graph& graph) {
  const ActivationPlan plan = plan_activations(graph, whole_graph(graph), DeviceKind::kCpu);
  std::map<std::pair<Arena, int64_t>, ValueId> stamps;  // by 64-byte line
  std::vector<ValueId> stamp_of(graph.values().size(), kNoValue);
  const auto lines = [&](ValueId id, auto visit) {
    const Location& at = plan.values[id];
    for (int64_t line = 0; line < graph.type(id).bytes(); line += 64)
      visit(std::pair(at.arena, at.offset + line));
  };
  for (const Node& node : graph.nodes()) {
    for (ValueId input : node.inputs)
      if (input != kNoValue && plan.values[input].arena != Arena::kNone)
        lines(input, [&](auto line) {
          ASSERT_EQ(stamps[line], stamp_of[input])
              << node.name << " reads " << graph.value(input).name << ", overwritten by "
              << graph.value(stamps[line]).name;
        });
    for (ValueId output : node.outputs) {
      if (plan.values[output].arena == Arena::kNone) continue;
      const int view = node.op->view_of();
      stamp_of[output] = view >= 0 ? stamp_of[node.inputs[view]] : output;
      lines(output, [&](auto line) { stamps[line] = stamp_of[output]; });
    }
  }
}

TEST(Storage, NobodyReadsMemoryThatWasTakenOver) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    expect_every_read_sees_what_was_written(random_graph(seed));
  }
}

TEST(Storage, ElementwiseChainsRunInPlaceAndViewsCostNothing) {
  Graph graph;
  const ValueId x = graph.input("x", {{4, 16}, DType::kF32});
  const ValueId a = graph.add1("a", std::make_shared<Scale>(2.0f), {x});
  const ValueId b = graph.add1("b", std::make_shared<Reshape>(std::vector<int64_t>{4, 4}), {a});
  const ValueId c = graph.add1("c", std::make_shared<Scale>(3.0f), {b});
  const ActivationPlan plan = plan_activations(graph, whole_graph(graph), DeviceKind::kCpu);
  EXPECT_EQ(plan.values[a].offset, plan.values[b].offset);
  EXPECT_EQ(plan.values[b].offset, plan.values[c].offset);
  EXPECT_EQ(plan.scratch_bytes, 256);
  EXPECT_EQ(plan.slot_bytes, (std::vector<int64_t>{0}));
}

TEST(Storage, AViewOfAnInputIsNoActivation) {
  Graph graph;
  const ValueId x = graph.input("x", {{4, 16}, DType::kF32});
  const ValueId view = graph.add1("view", std::make_shared<Reshape>(std::vector<int64_t>{-1}), {x});
  graph.add1("y", std::make_shared<Scale>(2.0f), {view});
  const ActivationPlan plan = plan_activations(graph, whole_graph(graph), DeviceKind::kCpu);
  EXPECT_EQ(plan.values[view].arena, Arena::kNone);
  EXPECT_EQ(plan.scratch_bytes, 256);  // y must not take over the input's memory
}

}  // namespace
}  // namespace trireme::core

#include "core/graph/differentiate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "core/base/error.h"
#include "core/ops/add.h"
#include "core/ops/linear.h"
#include "core/ops/scale.h"
#include "core/ops/softmax_cross_entropy.h"
#include "core/program/flat_layout.h"

namespace trireme::core {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// data -> fc1 -> fc2 -> loss, with the pieces by name.
struct Net {
  Graph graph;
  ValueId data = graph.input("data", {{4, 6}, DType::kF32});
  ValueId labels = graph.input("labels", {{4}, DType::kI32});
  ValueId w1 = graph.parameter("fc1/weight", {{6, 6}, DType::kF32}, {});
  ValueId w2 = graph.parameter("fc2/weight", {{6, 6}, DType::kF32}, {});

  ValueId linear(const std::string& name, ValueId x, ValueId w) {
    return graph.add1(name, std::make_shared<Linear>(LinearOptions{}), {x, w, kNoValue});
  }
  void loss(ValueId logits) {
    const auto op = std::make_shared<SoftmaxCrossEntropy>(SoftmaxCrossEntropyOptions{});
    graph.add_loss("loss", graph.add("loss", op, {logits, labels, kNoValue}).front(), 1, 1);
  }
  const Node& producer(const std::string& value) const {
    return graph.node(graph.value(graph.find(value)).producer);
  }
};

std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const InvalidArgument& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(Differentiate, OneGradientForEachTrainedParameter) {
  Net net;
  net.loss(net.linear("fc2", net.linear("fc1", net.data, net.w1), net.w2));
  differentiate(net.graph, {.global_batch = 4});
  for (const std::string name : {"fc1/weight", "fc2/weight"}) {
    const Value& gradient = net.graph.value(net.graph.find(name + "/grad"));
    EXPECT_EQ(gradient.role, Role::kGradient);
    EXPECT_EQ(gradient.parameter, net.graph.find(name));
    EXPECT_EQ(net.producer(name + "/grad").phase, Phase::kWeightBackward);
  }
  EXPECT_EQ(net.graph.with_role(Role::kGradient).size(), 2u);
}

TEST(Differentiate, NothingIsComputedForTheInputOfTheNetwork) {
  Net net;
  net.loss(net.linear("fc1", net.data, net.w1));
  differentiate(net.graph, {.global_batch = 4});
  for (const Node& node : net.graph.nodes()) EXPECT_NE(node.op->type(), "linear_grad_input");
}

TEST(Differentiate, FrozenParametersGetNoGradientAndStopTheWayBack) {
  Net net;
  net.loss(net.linear("fc2", net.linear("fc1", net.data, net.w1), net.w2));
  differentiate(net.graph, {.global_batch = 4, .frozen = {"fc1/weight"}});
  EXPECT_EQ(net.graph.find("fc1/weight/grad"), kNoValue);
  EXPECT_NE(net.graph.find("fc2/weight/grad"), kNoValue);
  for (const Node& node : net.graph.nodes()) EXPECT_NE(node.op->type(), "linear_grad_input");
}

TEST(Differentiate, ABiasMayBeTrainedWithoutItsWeight) {
  Net net;
  const ValueId bias = net.graph.parameter("fc1/bias", {{6}, DType::kF32}, {});
  net.loss(
      net.graph.add1("fc1", std::make_shared<Linear>(LinearOptions{}), {net.data, net.w1, bias}));
  differentiate(net.graph, {.global_batch = 4, .frozen = {"fc1/weight", "fc2/weight"}});
  ASSERT_EQ(net.graph.with_role(Role::kGradient).size(), 1u);
  EXPECT_EQ(net.graph.value(net.graph.with_role(Role::kGradient)[0]).parameter, bias);
}

TEST(Differentiate, AValueUsedTwiceGetsTheSumOfItsContributions) {
  Net net;
  const ValueId x = net.linear("fc1", net.data, net.w1);
  const ValueId twice = net.graph.add1("scale", std::make_shared<Scale>(2.0f), {x});
  net.loss(net.graph.add1("add", std::make_shared<Add>(), {x, twice}));
  differentiate(net.graph, {.global_batch = 4});
  const Node& weight = net.producer("fc1/weight/grad");
  EXPECT_EQ(net.graph.node(net.graph.value(weight.inputs[0]).producer).op->type(), "add");
}

TEST(Differentiate, AParameterUsedTwiceIsAccumulatedInPlace) {
  Net net;
  net.loss(net.linear("fc2", net.linear("fc1", net.data, net.w1), net.w1));
  differentiate(net.graph, {.global_batch = 4});
  const ValueId gradient = net.graph.find("fc1/weight/grad");
  std::vector<bool> accumulate;
  for (const Node& node : net.graph.nodes())
    if (std::ranges::find(node.outputs, gradient) != node.outputs.end())
      accumulate.push_back(node.accumulate);
  EXPECT_THAT(accumulate, ElementsAre(false, true));
}

TEST(Differentiate, UsesOfAParameterMayBeKeptApart) {
  Net net;
  net.loss(net.linear("fc2", net.linear("fc1", net.data, net.w1), net.w1));
  differentiate(net.graph, {.global_batch = 4, .separate_uses = true});
  EXPECT_EQ(net.producer("fc1/weight/grad").name, "fc2/grad_weight");
  EXPECT_EQ(net.producer("fc1/weight/grad@1").name, "fc1/grad_weight");
  const FlatLayout layout = make_flat_layout(net.graph, 1 << 20, 2);
  const FlatParameter& shared = layout.find("fc1/weight");
  ASSERT_EQ(layout.extra_gradients.size(), 1u);
  EXPECT_EQ(layout.extra_gradients[0].name, "fc1/weight/grad@1");
  EXPECT_EQ(layout.extra_gradients[0].gradient_offset, layout.trained_elements);
  const Bucket& bucket = layout.buckets[layout.extra_gradients[0].bucket];
  EXPECT_EQ(bucket.begin, shared.offset);
  EXPECT_EQ(layout.gradient_elements - layout.trained_elements, bucket.end - bucket.begin);
}

TEST(Differentiate, Refuses) {
  Net without_loss;
  without_loss.linear("fc1", without_loss.data, without_loss.w1);
  EXPECT_THAT(message_of([&] { differentiate(without_loss.graph, {}); }),
              HasSubstr("[differentiate] expects a loss"));

  Net frozen;
  frozen.loss(frozen.linear("fc1", frozen.data, frozen.w1));
  EXPECT_THAT(message_of([&] { differentiate(frozen.graph, {.frozen = {"fc1/weight"}}); }),
              HasSubstr("found nothing to train"));
}

TEST(Graph, RefusesTwoValuesOfOneName) {
  Graph graph;
  graph.input("x", {{1}, DType::kF32});
  EXPECT_THAT(message_of([&] {
                graph.input("x", {{1}, DType::kF32});
              }),
              HasSubstr("two values named 'x'"));
}

TEST(Graph, ErrorsOfAnOpNameTheLayer) {
  Net net;
  EXPECT_THAT(message_of([&] { net.linear("fc9", net.labels, net.w1); }), HasSubstr("layer 'fc9'"));
}

}  // namespace
}  // namespace trireme::core

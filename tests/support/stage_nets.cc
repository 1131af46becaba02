#include "tests/support/stage_nets.h"

#include <cmath>
#include <random>
#include <string>

#include "core/ops/accuracy.h"
#include "core/ops/add.h"
#include "core/ops/conv2d.h"
#include "core/ops/dropout.h"
#include "core/ops/linear.h"
#include "core/ops/pool2d.h"
#include "core/ops/reshape.h"
#include "core/ops/softmax_cross_entropy.h"

namespace trireme::test {

using namespace core;

namespace {

class Layers {
 public:
  explicit Layers(Graph& graph) : graph_(graph) {}

  ValueId parameter(const std::string& name, Shape shape, int64_t fan_in) {
    const float bound = 1.5f / std::sqrt(static_cast<float>(fan_in));
    return graph_.parameter(name, {std::move(shape), DType::kF32}, Init::uniform(-bound, bound));
  }

  ValueId linear(const std::string& name, ValueId x, int64_t outputs,
                 ActivationKind f = ActivationKind::kRelu) {
    const int64_t inputs = graph_.type(x).shape[-1];
    const ValueId w = parameter(name + "/weight", {outputs, inputs}, inputs);
    return linear_of(name, x, w, parameter(name + "/bias", {outputs}, inputs), f);
  }

  ValueId linear_of(const std::string& name, ValueId x, ValueId w, ValueId b,
                    ActivationKind f = ActivationKind::kRelu) {
    return graph_.add(name, std::make_shared<Linear>(LinearOptions{f}), {x, w, b}).front();
  }

  ValueId conv(const std::string& name, ValueId x, int64_t outputs) {
    const int64_t inputs = graph_.type(x).shape[-1];
    const ValueId w = parameter(name + "/weight", {outputs, 3, 3, inputs}, 9 * inputs);
    const ValueId b = parameter(name + "/bias", {outputs}, inputs);
    const Conv2dOptions options{.pad_h = 1, .pad_w = 1, .activation = ActivationKind::kRelu};
    return graph_.add(name, std::make_shared<Conv2d>(options), {x, w, b}).front();
  }

  ValueId add(const std::string& name, ValueId a, ValueId b) {
    return graph_.add1(name, std::make_shared<Add>(), {a, b});
  }

  ValueId view(const std::string& name, ValueId x, std::vector<int64_t> dims) {
    return graph_.add1(name, std::make_shared<Reshape>(std::move(dims)), {x});
  }

  Graph& graph() { return graph_; }

 private:
  Graph& graph_;
};

ValueId dense(Layers& net, ValueId x, bool training) {
  int layer = 0;
  for (int64_t width : {17, 29, 11, 23, 40, 13, 19}) {
    x = net.linear("fc" + std::to_string(++layer), x, width);
    if (layer == 3 && training)
      x = net.graph().add1("dropout", std::make_shared<Dropout>(0.25f, "dropout"), {x});
  }
  return net.linear("fc8", x, kNetClasses, ActivationKind::kNone);
}

ValueId skips(Layers& net, ValueId x) {
  x = net.linear("stem", x, 12);
  const ValueId stem = x;
  for (int i = 0; i < 4; ++i) {
    const std::string block = "block" + std::to_string(i);
    net.graph().set_block(block);
    ValueId y = net.linear(block + "/fc1", x, 21);
    y = net.linear(block + "/fc2", y, 12, ActivationKind::kNone);
    x = net.add(block + "/add", x, y);
    if (i == 3) x = net.add(block + "/again", x, stem);
  }
  net.graph().set_block("");
  x = net.add("from_stem", net.linear("neck", x, 12), stem);
  return net.linear("head", x, kNetClasses, ActivationKind::kNone);
}

ValueId images(Layers& net, ValueId x) {
  x = net.view("image", x, {6, 6, 1});
  x = net.conv("conv1", x, 5);
  x = net.graph().add("pool1", std::make_shared<Pool2d>(Pool2dOptions{}), {x}).front();
  x = net.conv("conv2", x, 7);
  x = net.view("flat", x, {-1});
  x = net.linear("fc1", x, 18);
  return net.linear("fc2", x, kNetClasses, ActivationKind::kNone);
}

ValueId tied(Layers& net, ValueId x) {
  const ValueId w = net.parameter("shared/weight", {kNetInputs, kNetInputs}, kNetInputs);
  const ValueId b = net.parameter("shared/bias", {kNetInputs}, kNetInputs);
  x = net.linear_of("first", x, w, b);
  for (int i = 0; i < 5; ++i) x = net.linear("fc" + std::to_string(i), x, kNetInputs);
  x = net.linear_of("last", x, w, b, ActivationKind::kTanh);
  return net.linear("head", x, kNetClasses, ActivationKind::kNone);
}

ValueId views(Layers& net, ValueId x) {
  const ValueId view = net.view("view", x, {6, 6});
  const ValueId flat = net.view("flat", view, {-1});
  x = net.linear("fc0", flat, 15);
  for (int i = 1; i < 6; ++i) {
    const std::string number = std::to_string(i);
    const ValueId side = net.linear("side" + number, flat, 15);
    x = net.add("sum" + number, net.linear("fc" + number, x, 15), side);
  }
  return net.linear("head", x, kNetClasses, ActivationKind::kNone);
}

ValueId body(StageNet net, Layers& layers, ValueId data, bool training) {
  switch (net) {
    case StageNet::kDense:
      return dense(layers, data, training);
    case StageNet::kSkips:
      return skips(layers, data);
    case StageNet::kImages:
      return images(layers, data);
    case StageNet::kViews:
      return views(layers, data);
    case StageNet::kTied:
      break;
  }
  return tied(layers, data);
}

}  // namespace

Graph stage_net(StageNet net, int64_t batch, bool training) {
  Graph graph;
  const ValueId data = graph.input("data", {{batch, kNetInputs}, DType::kF32});
  const ValueId labels = graph.input("labels", {{batch}, DType::kI32});
  const ValueId weights = graph.input("weights", {{batch}, DType::kF32});
  Layers layers(graph);
  const ValueId logits = body(net, layers, data, training);
  const std::vector<ValueId> operands{logits, labels, weights};
  const auto loss = std::make_shared<SoftmaxCrossEntropy>(SoftmaxCrossEntropyOptions{});
  graph.add_loss("loss", graph.add("loss", loss, operands).front(), 1, 1);
  graph.add_metric("accuracy", graph.add1("accuracy", std::make_shared<Accuracy>(), operands));
  return graph;
}

NetBatches::NetBatches(int64_t global_batch, unsigned seed, int64_t first_row, int64_t micro_batch)
    : data_(static_cast<size_t>(global_batch * kNetInputs)),
      labels_(static_cast<size_t>(global_batch)),
      weights_(static_cast<size_t>(global_batch), 1.0f),
      row_(first_row),
      micro_batch_(micro_batch) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  for (float& x : data_) x = normal(random);
  for (int32_t& label : labels_) label = static_cast<int32_t>(random() % kNetClasses);
}

std::span<const void* const> NetBatches::next() {
  pointers_ = {data_.data() + row_ * kNetInputs, labels_.data() + row_, weights_.data() + row_};
  row_ += micro_batch_;
  return pointers_;
}

}  // namespace trireme::test

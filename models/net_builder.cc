#include "models/net_builder.h"

#include <cmath>
#include <memory>

#include "core/base/error.h"
#include "core/ops/accuracy.h"
#include "core/ops/activation.h"
#include "core/ops/add.h"
#include "core/ops/cached_attention.h"
#include "core/ops/causal_attention.h"
#include "core/ops/dropout.h"
#include "core/ops/embedding.h"
#include "core/ops/mean_squared_error.h"
#include "core/ops/reshape.h"
#include "core/ops/scale.h"

namespace trireme::models {
namespace {

using core::DType;
using core::Init;
using core::Shape;
using core::ValueId;

template <class... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};

Shape with_batch(int64_t batch, const Shape& sample) {
  std::vector<int64_t> dims{batch};
  dims.insert(dims.end(), sample.dims().begin(), sample.dims().end());
  return Shape(dims);
}

Init weight_init(const InitOptions& init, double fan_in, double fan_out) {
  const auto symmetric = [](double bound) {
    return Init::uniform(static_cast<float>(-bound), static_cast<float>(bound));
  };
  return std::visit(
      Overloaded{
          [&](const FanInUniformInit&) { return symmetric(1 / std::sqrt(fan_in)); },
          [&](const KaimingNormalInit&) {
            return Init::normal(0, static_cast<float>(std::sqrt(2 / fan_in)));
          },
          [&](const XavierUniformInit&) { return symmetric(std::sqrt(6 / (fan_in + fan_out))); },
          [&](const NormalInit& normal) { return Init::normal(normal.mean, normal.stddev); },
          [&](const UniformInit& uniform) { return Init::uniform(uniform.low, uniform.high); },
          [&](const ConstantInit& constant) { return Init::constant(constant.value); }},
      init);
}

}  // namespace

NetBuilder::NetBuilder(const BuildRequest& request) : request_(request) {
  data_ =
      graph_.input(kDataInput, {with_batch(request.batch, request.sample), request.sample_type});
  if (request.generation) {
    positions_ = graph_.input("positions", {{request.batch}, DType::kI32});
    return;
  }
  labels_ = graph_.input("labels", {with_batch(request.batch, request.labels), DType::kI32});
  weights_ = graph_.input("weights", {{request.batch}, DType::kF32});
}

ValueId NetBuilder::weight(const std::string& layer, Shape shape, Fans fans,
                           const InitOptions& init, core::SplitHint split) {
  const auto in = static_cast<double>(fans.in), out = static_cast<double>(fans.out);
  return graph_.parameter(layer + "/weight", {shape, DType::kF32}, weight_init(init, in, out),
                          std::move(split));
}

ValueId NetBuilder::bias(const std::string& layer, int64_t outputs, bool present, Fans fans,
                         const InitOptions& init, core::SplitHint split) {
  if (!present) return core::kNoValue;
  const bool drawn = std::holds_alternative<FanInUniformInit>(init);
  const Init first = drawn ? weight_init(init, static_cast<double>(fans.in), 1) : Init::constant(0);
  return graph_.parameter(layer + "/bias", {{outputs}, DType::kF32}, first, std::move(split));
}

ValueId NetBuilder::linear(const std::string& name, ValueId x, const LinearLayer& layer) {
  const Shape& shape = graph_.type(x).shape;
  if (shape.rank() < 2)
    fail("layer '{}': [linear] expects a batch of vectors, got {}", name, shape.str());
  const Fans fans{shape[-1], layer.outputs};
  const ValueId w = weight(name, {layer.outputs, fans.in}, fans, layer.init, layer.split);
  // A bias is cut as the rows of the weight are.
  const ValueId b = bias(name, layer.outputs, layer.bias, fans, layer.init,
                         layer.split.dim == 0 ? layer.split : core::SplitHint{});
  return graph_.add(name, std::make_shared<core::Linear>(layer.op), {x, w, b}).front();
}

ValueId NetBuilder::linear(const std::string& name, ValueId x, ValueId weight) {
  const auto op = std::make_shared<core::Linear>(core::LinearOptions{});
  return graph_.add(name, op, {x, weight, core::kNoValue}).front();
}

ValueId NetBuilder::conv2d(const std::string& name, ValueId x, const Conv2dLayer& layer) {
  const Shape& shape = graph_.type(x).shape;
  if (shape.rank() != 4)
    fail("layer '{}': [conv2d] expects images (N, H, W, C), got {}", name, shape.str());
  if (shape[3] % layer.op.groups != 0 || layer.outputs % layer.op.groups != 0)
    fail("layer '{}': [conv2d] expects groups ({}) to divide the channels in ({}) and out ({})",
         name, layer.op.groups, shape[3], layer.outputs);
  const int64_t window = layer.kernel_h * layer.kernel_w;
  const int64_t channels = shape[3] / layer.op.groups;
  const Fans fans{window * channels, window * layer.outputs / layer.op.groups};
  const ValueId w =
      weight(name, {layer.outputs, layer.kernel_h, layer.kernel_w, channels}, fans, layer.init);
  const ValueId b = bias(name, layer.outputs, layer.bias, fans, layer.init);
  return graph_.add(name, std::make_shared<core::Conv2d>(layer.op), {x, w, b}).front();
}

ValueId NetBuilder::pool2d(const std::string& name, ValueId x, const core::Pool2dOptions& options) {
  return op(name, std::make_shared<core::Pool2d>(options), {x});
}

ValueId NetBuilder::activation(const std::string& name, ValueId x, core::ActivationKind kind) {
  return op(name, std::make_shared<core::Activation>(kind), {x});
}

ValueId NetBuilder::flatten(const std::string& name, ValueId x) { return reshape(name, x, {-1}); }

ValueId NetBuilder::reshape(const std::string& name, ValueId x, std::vector<int64_t> dims) {
  return op(name, std::make_shared<core::Reshape>(std::move(dims)), {x});
}

ValueId NetBuilder::add(const std::string& name, ValueId a, ValueId b) {
  return op(name, std::make_shared<core::Add>(), {a, b});
}

ValueId NetBuilder::scale(const std::string& name, ValueId x, float factor) {
  return op(name, std::make_shared<core::Scale>(factor), {x});
}

ValueId NetBuilder::dropout(const std::string& name, ValueId x, float probability) {
  const float p = request_.training ? probability : 0;
  if (p == 0) return x;
  return op(name, std::make_shared<core::Dropout>(p, name), {x});
}

Embedded NetBuilder::embedding(int64_t vocabulary, int64_t width, int64_t positions) {
  const Init init = Init::normal(0, kEmbeddingStddev);
  const ValueId table = graph_.parameter("tokens/weight", {{vocabulary, width}, DType::kF32}, init,
                                         {.dim = 0, .parts = {}, .unequal = true});
  std::vector<ValueId> inputs{data_, table};
  if (positions > 0) {
    inputs.push_back(graph_.parameter("positions/weight", {{positions, width}, DType::kF32}, init));
    if (request_.generation) inputs.push_back(positions_);
  }
  return {op("embedding", std::make_shared<core::Embedding>(), std::move(inputs)), table};
}

std::vector<ValueId> NetBuilder::norm_inputs(const std::string& name, ValueId x, bool bias) {
  const core::ValueType type{{graph_.type(x).shape[-1]}, DType::kF32};
  const ValueId w = graph_.parameter(name + "/weight", type, Init::constant(1));
  return {x, w, bias ? graph_.parameter(name + "/bias", type, Init::constant(0)) : core::kNoValue};
}

ValueId NetBuilder::norm(const std::string& name, ValueId x, const core::NormOptions& options,
                         bool bias) {
  return op(name, std::make_shared<core::Norm>(options), norm_inputs(name, x, bias));
}

NormedSum NetBuilder::norm(const std::string& name, ValueId x, ValueId residual,
                           const core::NormOptions& options, bool bias) {
  std::vector<ValueId> inputs = norm_inputs(name, x, bias);
  inputs.push_back(residual);
  const std::vector<ValueId> outputs =
      graph_.add(name, std::make_shared<core::Norm>(options), std::move(inputs));
  return {outputs[0], outputs[2]};
}

ValueId NetBuilder::rotary(const std::string& name, ValueId x, const core::RotaryOptions& options) {
  std::vector<ValueId> inputs{x};
  if (request_.generation) inputs.push_back(positions_);
  return op(name, std::make_shared<core::Rotary>(options), std::move(inputs));
}

ValueId NetBuilder::attention(const std::string& name, ValueId qkv,
                              const core::AttentionOptions& options) {
  if (!request_.generation)
    return op(name, std::make_shared<core::CausalAttention>(options), {qkv});
  const auto cached =
      std::make_shared<core::CachedAttention>(options, request_.generation->cache_positions);
  const ValueId cache = graph_.state(name + "/cache", cached->cache_type(request_.batch));
  return op(name, cached, {qkv, cache, positions_});
}

ValueId NetBuilder::op(const std::string& name, core::OpPtr op, std::vector<ValueId> inputs) {
  return graph_.add(name, std::move(op), std::move(inputs)).front();
}

void NetBuilder::softmax_cross_entropy(const std::string& name, ValueId logits,
                                       const SoftmaxCrossEntropyLayer& layer) {
  const Shape& shape = graph_.type(logits).shape;
  if (shape.rank() < 1 || shape[-1] < request_.classes)
    fail(
        "layer '{}': [softmax_cross_entropy] gets logits {} but the data has {} classes; give the "
        "layer before it at least {} outputs",
        name, shape.str(), request_.classes, request_.classes);
  const ValueId sums =
      op(name, std::make_shared<core::SoftmaxCrossEntropy>(layer.op), {logits, labels_, weights_});
  graph_.add_loss(name, sums, layer.weight, request_.labels.elements());
  // Of language it would read the largest value of the step once more: evaluations alone state it.
  if (request_.training && request_.labels.rank() > 0) return;
  const bool first = graph_.metrics().empty();
  const std::string metric = first ? "accuracy" : name + "/accuracy";
  const ValueId right =
      op(metric == name ? metric + "_metric" : metric,
         std::make_shared<core::Accuracy>(layer.op.ignore_index), {logits, labels_, weights_});
  graph_.add_metric(metric, right);
}

void NetBuilder::mean_squared_error(const std::string& name, ValueId x, ValueId target,
                                    float weight) {
  graph_.add_loss(name, op(name, std::make_shared<core::MeanSquaredError>(), {x, target, weights_}),
                  weight, 1);
}

core::Graph NetBuilder::finish() && {
  if (graph_.losses().empty() && !request_.generation)
    fail("the model has no loss: end it with softmax_cross_entropy or mean_squared_error");
  return std::move(graph_);
}

}  // namespace trireme::models

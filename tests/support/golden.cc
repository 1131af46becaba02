#include "tests/support/golden.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/ops/accuracy.h"
#include "core/ops/activation.h"
#include "core/ops/add.h"
#include "core/ops/causal_attention.h"
#include "core/ops/conv2d.h"
#include "core/ops/embedding.h"
#include "core/ops/linear.h"
#include "core/ops/mean_squared_error.h"
#include "core/ops/norm.h"
#include "core/ops/pool2d.h"
#include "core/ops/reshape.h"
#include "core/ops/rotary.h"
#include "core/ops/scale.h"
#include "core/ops/softmax_cross_entropy.h"
#include "core/ops/swiglu.h"

namespace trireme::test {
namespace {

using core::ActivationKind;
using nlohmann::json;

// tests/goldens/*.json, made into string literals by targets.cmake.
constexpr char kOps[] =
#include "ops.inc"
    ;
constexpr char kUpdates[] =
#include "optim.inc"
    ;

core::DType dtype_of(const std::string& name) {
  for (auto dtype : {core::DType::kF32, core::DType::kF64, core::DType::kI32})
    if (name_of(dtype) == name) return dtype;
  fail("[golden] has no dtype '{}'", name);
}

HostTensor tensor_from(const json& node) {
  if (node.is_null()) return absent();
  return tensor_of(dtype_of(node.at("dtype")),
                   core::Shape(node.at("shape").get<std::vector<int64_t>>()),
                   node.at("values").get<std::vector<double>>());
}

ActivationKind activation_of(const std::string& name) {
  for (auto kind : {ActivationKind::kNone, ActivationKind::kRelu, ActivationKind::kGelu,
                    ActivationKind::kGeluTanh, ActivationKind::kTanh, ActivationKind::kSigmoid,
                    ActivationKind::kSilu})
    if (name_of(kind) == name) return kind;
  fail("[golden] has no op '{}'", name);
}

core::OpPtr conv2d_of(const json& o) {
  return std::make_shared<core::Conv2d>(
      core::Conv2dOptions{.stride_h = o.at("stride_h"),
                          .stride_w = o.at("stride_w"),
                          .pad_h = o.at("pad_h"),
                          .pad_w = o.at("pad_w"),
                          .dilation_h = o.at("dilation_h"),
                          .dilation_w = o.at("dilation_w"),
                          .groups = o.at("groups"),
                          .activation = activation_of(o.at("activation"))});
}

core::OpPtr pool2d_of(core::PoolKind kind, const json& o) {
  return std::make_shared<core::Pool2d>(
      core::Pool2dOptions{.kind = kind,
                          .kernel_h = o.at("kernel_h"),
                          .kernel_w = o.at("kernel_w"),
                          .stride_h = o.at("stride_h"),
                          .stride_w = o.at("stride_w"),
                          .pad_h = o.at("pad_h"),
                          .pad_w = o.at("pad_w"),
                          .count_include_pad = o.at("count_include_pad")});
}

core::OpPtr op_of(const std::string& op, const json& o) {
  if (op == "add") return std::make_shared<core::Add>();
  if (op == "scale") return std::make_shared<core::Scale>(o.at("factor").get<float>());
  if (op == "reshape")
    return std::make_shared<core::Reshape>(o.at("dims").get<std::vector<int64_t>>());
  if (op == "mean_squared_error") return std::make_shared<core::MeanSquaredError>();
  if (op == "accuracy") return std::make_shared<core::Accuracy>(o.at("ignore_index").get<int>());
  if (op == "softmax_cross_entropy")
    return std::make_shared<core::SoftmaxCrossEntropy>(core::SoftmaxCrossEntropyOptions{
        .label_smoothing = o.at("label_smoothing"), .ignore_index = o.at("ignore_index")});
  if (op == "linear")
    return std::make_shared<core::Linear>(
        core::LinearOptions{.activation = activation_of(o.at("activation"))});
  if (op == "conv2d") return conv2d_of(o);
  if (op == "causal_attention")
    return std::make_shared<core::CausalAttention>(
        core::AttentionOptions{.heads = o.at("heads"),
                               .kv_heads = o.at("kv_heads"),
                               .head_dim = o.at("head_dim"),
                               .scale = o.at("scale")});
  if (op == "max_pool2d") return pool2d_of(core::PoolKind::kMax, o);
  if (op == "average_pool2d") return pool2d_of(core::PoolKind::kAverage, o);
  if (op == "embedding") return std::make_shared<core::Embedding>();
  if (op == "layer_norm" || op == "rms_norm")
    return std::make_shared<core::Norm>(core::NormOptions{
        .kind = op == "rms_norm" ? core::NormOptions::kRms : core::NormOptions::kLayer,
        .epsilon = o.at("epsilon")});
  if (op == "swiglu") return std::make_shared<core::SwiGlu>();
  if (op == "rotary")
    return std::make_shared<core::Rotary>(core::RotaryOptions{.heads = o.at("heads"),
                                                              .total_heads = o.at("total_heads"),
                                                              .head_dim = o.at("head_dim"),
                                                              .theta = o.at("theta")});
  return std::make_shared<core::Activation>(activation_of(op));
}

GoldenOp golden_op(const json& node) {
  GoldenOp golden;
  OpCase& c = golden.op_case;
  c.name = node.at("name");
  c.op = op_of(node.at("op"), node.at("options"));
  for (const json& input : node.at("inputs")) c.inputs.push_back(tensor_from(input));
  golden.output = node.at("outputs").at(0).at("values").get<std::vector<double>>();
  c.reference = [output = golden.output](const auto&) { return OutputValues{output}; };
  if (node.contains("direction")) golden.direction = tensor_from(node.at("direction"));
  c.parameters = node.at("parameters").get<std::vector<int>>();
  for (const auto& [input, gradient] : node.at("gradients").items()) {
    const int i = std::stoi(input);
    golden.gradients[i] = gradient.at("values").get<std::vector<double>>();
    if (std::ranges::count(c.parameters, i) == 0) c.activations.push_back(i);
  }
  return golden;
}

core::OptimizerOptions optimizer_of(const std::string& kind, const json& o) {
  if (kind == "sgd")
    return core::SgdOptions{.momentum = o.at("momentum"),
                            .nesterov = o.at("nesterov"),
                            .weight_decay = o.at("weight_decay")};
  return core::AdamOptions{.beta1 = o.at("beta1"),
                           .beta2 = o.at("beta2"),
                           .epsilon = o.at("epsilon"),
                           .weight_decay = o.at("weight_decay"),
                           .decoupled = o.at("decoupled")};
}

GoldenUpdates golden_updates(const json& node) {
  GoldenUpdates golden;
  golden.name = node.at("name");
  golden.optimizer = optimizer_of(node.at("kind"), node.at("options"));
  golden.control = {.schedule = {.base_lr = node.at("lr")},
                    .clip_norm = node.at("clip_norm"),
                    .nominal_count = node.at("nominal_count"),
                    .loss_scale = node.at("loss_scale")};
  if (const auto* adam = std::get_if<core::AdamOptions>(&golden.optimizer)) {
    golden.control.beta1 = adam->beta1;
    golden.control.beta2 = adam->beta2;
  }
  golden.count = node.at("count");
  for (const json& range : node.at("ranges"))
    golden.ranges.push_back({range.at("begin"), range.at("end"),
                             range.at("weight_decay").get<float>(),
                             range.at("lr_scale").get<float>()});
  golden.initial = node.at("initial").get<std::vector<float>>();
  golden.gradients = node.at("gradients").get<std::vector<std::vector<float>>>();
  golden.expected = node.at("expected").get<std::vector<std::vector<float>>>();
  return golden;
}

}  // namespace

std::vector<GoldenOp> read_golden_ops() {
  std::vector<GoldenOp> cases;
  const json file = json::parse(kOps);
  for (const json& node : file.at("cases")) cases.push_back(golden_op(node));
  return cases;
}

std::vector<GoldenUpdates> read_golden_updates() {
  std::vector<GoldenUpdates> cases;
  const json file = json::parse(kUpdates);
  for (const json& node : file.at("cases")) cases.push_back(golden_updates(node));
  return cases;
}

}  // namespace trireme::test

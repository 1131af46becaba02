// The fields of the `model` part of a job, for both directions (binding_io.h).
#pragma once

#include "launcher/job/binding_io.h"
#include "launcher/job/job.pb.h"
#include "models/model_options.h"

namespace trireme::launcher {

static_assert(static_cast<int>(core::ActivationKind::kNone) == job::Activation::NONE);
static_assert(static_cast<int>(core::ActivationKind::kRelu) == job::Activation::RELU);
static_assert(static_cast<int>(core::ActivationKind::kGelu) == job::Activation::GELU);
static_assert(static_cast<int>(core::ActivationKind::kGeluTanh) == job::Activation::GELU_TANH);
static_assert(static_cast<int>(core::ActivationKind::kTanh) == job::Activation::TANH);
static_assert(static_cast<int>(core::ActivationKind::kSigmoid) == job::Activation::SIGMOID);
static_assert(static_cast<int>(core::ActivationKind::kSilu) == job::Activation::SILU);

// The case of a oneof that is an alternative of a variant.
template <typename T, typename Io, typename Variant, typename Fields>
void choose(Io& io, std::string_view name, Variant& value, Fields fields) {
  io.choice(
      name, value, T{}, [](const Variant& v) { return std::holds_alternative<T>(v); }, fields);
}
template <typename T, typename Io, typename Variant>
void choose(Io& io, std::string_view name, Variant& value) {
  choose<T>(io, name, value, [](auto&, T&) {});
}

template <typename Io>
void bind_init(Io& io, models::InitOptions& init) {
  io.message("init", [&](auto& rule) {
    choose<models::FanInUniformInit>(rule, "fan_in_uniform", init);
    choose<models::KaimingNormalInit>(rule, "kaiming_normal", init);
    choose<models::XavierUniformInit>(rule, "xavier_uniform", init);
    choose<models::NormalInit>(rule, "normal", init, [](auto& fields, models::NormalInit& o) {
      fields("mean", o.mean);
      fields("stddev", o.stddev);
    });
    choose<models::UniformInit>(rule, "uniform", init, [](auto& fields, models::UniformInit& o) {
      fields("low", o.low);
      fields("high", o.high);
    });
    choose<models::ConstantInit>(rule, "constant", init, [](auto& fields, models::ConstantInit& o) {
      fields("value", o.value);
    });
  });
}

template <typename Io>
void bind_conv2d(Io& io, models::Conv2dLayer& o) {
  io("outputs", o.outputs);
  io.pair("kernel", o.kernel_h, o.kernel_w);
  io.pair("stride", o.op.stride_h, o.op.stride_w);
  io.pair("pad", o.op.pad_h, o.op.pad_w);
  io.pair("dilation", o.op.dilation_h, o.op.dilation_w);
  io("groups", o.op.groups);
  io("bias", o.bias);
  io("activation", o.op.activation);
  bind_init(io, o.init);
}

template <typename Io>
void bind_pool2d(Io& io, core::Pool2dOptions& o) {
  io.pair("kernel", o.kernel_h, o.kernel_w);
  if (!io.has("stride")) {  // windows side by side
    o.stride_h = o.kernel_h;
    o.stride_w = o.kernel_w;
  }
  io.pair("stride", o.stride_h, o.stride_w);
  io.pair("pad", o.pad_h, o.pad_w);
}

template <typename Io>
void bind_operation(Io& io, models::LayerOptions::Op& op) {
  using namespace models;
  choose<LinearLayer>(io, "linear", op, [](auto& fields, LinearLayer& o) {
    fields("outputs", o.outputs);
    fields("bias", o.bias);
    fields("activation", o.op.activation);
    bind_init(fields, o.init);
  });
  choose<Conv2dLayer>(io, "conv2d", op,
                      [](auto& fields, Conv2dLayer& o) { bind_conv2d(fields, o); });
  choose<MaxPool2dLayer>(io, "max_pool2d", op,
                         [](auto& fields, MaxPool2dLayer& o) { bind_pool2d(fields, o.op); });
  choose<AveragePool2dLayer>(io, "average_pool2d", op, [](auto& fields, AveragePool2dLayer& o) {
    bind_pool2d(fields, o.op);
    fields("count_include_pad", o.op.count_include_pad);
  });
  choose<ReluLayer>(io, "relu", op);
  choose<GeluLayer>(io, "gelu", op, [](auto& fields, GeluLayer& o) {
    fields("tanh_approximation", o.tanh_approximation);
  });
  choose<TanhLayer>(io, "tanh", op);
  choose<SigmoidLayer>(io, "sigmoid", op);
  choose<SiluLayer>(io, "silu", op);
  choose<FlattenLayer>(io, "flatten", op);
  choose<ReshapeLayer>(io, "reshape", op,
                       [](auto& fields, ReshapeLayer& o) { fields("dims", o.dims); });
  choose<AddLayer>(io, "add", op);
  choose<ScaleLayer>(io, "scale", op,
                     [](auto& fields, ScaleLayer& o) { fields("factor", o.factor); });
  choose<DropoutLayer>(io, "dropout", op,
                       [](auto& fields, DropoutLayer& o) { fields("probability", o.probability); });
  choose<SoftmaxCrossEntropyLayer>(io, "softmax_cross_entropy", op,
                                   [](auto& fields, SoftmaxCrossEntropyLayer& o) {
                                     fields("label_smoothing", o.op.label_smoothing);
                                     fields("ignore_index", o.op.ignore_index);
                                     fields("weight", o.weight);
                                   });
  choose<MeanSquaredErrorLayer>(io, "mean_squared_error", op,
                                [](auto& fields, MeanSquaredErrorLayer& o) {
                                  fields("weight", o.weight);
                                  fields("target", o.target);
                                });
}

template <typename Io>
void bind_layer(Io& io, models::LayerOptions& o) {
  io.place(o.place);
  io("name", o.name);
  io("input", o.inputs);
  bind_operation(io, o.op);
}

static_assert(static_cast<int>(models::GptPreset::k124M) == job::GptPreset::GPT2_124M);
static_assert(static_cast<int>(models::GptPreset::k1558M) == job::GptPreset::GPT2_1558M);

template <typename Io>
void bind_gpt(Io& io, models::GptOptions& o) {
  io("preset", o.preset);
  if (std::is_same_v<Io, Reader>) o = models::gpt_preset(o.preset);
  io("layers", o.layers);
  io("width", o.width);
  io("heads", o.heads);
  io("context", o.context);
  io("vocabulary", o.vocabulary);
  io("hidden", o.hidden);
  io("dropout", o.dropout);
  io("epsilon", o.epsilon);
  io("tied", o.tied);
}

template <typename Io>
void bind_llama(Io& io, models::LlamaOptions& o) {
  io("layers", o.layers);
  io("width", o.width);
  io("heads", o.heads);
  io("kv_heads", o.kv_heads);
  io("hidden", o.hidden);
  io("context", o.context);
  io("vocabulary", o.vocabulary);
  io("theta", o.theta);
  io("epsilon", o.epsilon);
  io("tied", o.tied);
}

template <typename Io>
void bind_model(Io& io, models::ModelOptions& o) {
  io.place(o.place);
  choose<models::MlpOptions>(io, "mlp", o.network, [](auto& fields, models::MlpOptions& mlp) {
    fields("hidden", mlp.hidden);
    fields("activation", mlp.activation);
    fields("dropout", mlp.dropout);
    fields("classes", mlp.classes);
    bind_init(fields, mlp.init);
  });
  choose<models::Lenet5Options>(io, "lenet5", o.network,
                                [](auto& fields, models::Lenet5Options& net) {
                                  fields("classes", net.classes);
                                  bind_init(fields, net.init);
                                });
  choose<models::GptOptions>(io, "gpt", o.network,
                             [](auto& fields, models::GptOptions& gpt) { bind_gpt(fields, gpt); });
  choose<models::LlamaOptions>(
      io, "llama", o.network,
      [](auto& fields, models::LlamaOptions& llama) { bind_llama(fields, llama); });
  choose<models::CustomModelOptions>(
      io, "custom", o.network,
      [](auto& fields, models::CustomModelOptions& custom) { bind_custom(fields, custom); });
  if (io.has("layer") &&
      (std::is_same_v<Io, Reader> || std::holds_alternative<models::LayerList>(o.network))) {
    if (!std::holds_alternative<models::LayerList>(o.network)) o.network = models::LayerList{};
    io.messages("layer", std::get<models::LayerList>(o.network),
                [](auto& fields, models::LayerOptions& layer) { bind_layer(fields, layer); });
  }
}

}  // namespace trireme::launcher

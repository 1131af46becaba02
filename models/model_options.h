// What a job says of its network, as plain values: the models turn them into a graph.
//
// Every default of the `model` part of a job stands here, once; the comments of
// launcher/job/job.proto state it again, and a test compares the two. Each alternative of
// LayerOptions::op becomes ONE call of the builder, with the op's own options struct inside.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/base/activation_kind.h"
#include "core/graph/sharding.h"
#include "core/ops/conv2d.h"
#include "core/ops/linear.h"
#include "core/ops/pool2d.h"
#include "core/ops/softmax_cross_entropy.h"

namespace trireme::models {

// Where the user wrote a thing ("jobs/a.txtpb:9:3"), to open errors with; empty if in code. Never
// compared: the same network written elsewhere is the same network.
struct SourcePlace {
  std::string text;
  bool operator==(const SourcePlace&) const { return true; }
};

// How the weights of a layer are drawn. fan_in and fan_out: the inputs and outputs of one weight.
// Weight AND bias from U(-1 / sqrt(fan_in), 1 / sqrt(fan_in)): PyTorch's kaiming_uniform, a =
// sqrt 5.
struct FanInUniformInit {
  bool operator==(const FanInUniformInit&) const = default;
};
// Weight from N(0, sqrt(2 / fan_in)), bias 0. Source: He et al., Delving Deep into Rectifiers
// (2015).
struct KaimingNormalInit {
  bool operator==(const KaimingNormalInit&) const = default;
};
// Weight from U(-a, a), a = sqrt(6 / (fan_in + fan_out)), bias 0. Source: Glorot and Bengio (2010).
struct XavierUniformInit {
  bool operator==(const XavierUniformInit&) const = default;
};
struct NormalInit {  // bias 0
  float mean = 0;
  float stddev = 0.01f;
  bool operator==(const NormalInit&) const = default;
};
struct UniformInit {  // bias 0
  float low = 0, high = 0;
  bool operator==(const UniformInit&) const = default;
};
struct ConstantInit {  // bias 0
  float value = 0;
  bool operator==(const ConstantInit&) const = default;
};
using InitOptions = std::variant<FanInUniformInit, KaimingNormalInit, XavierUniformInit, NormalInit,
                                 UniformInit, ConstantInit>;

struct LinearLayer {
  int64_t outputs = 0;
  bool bias = true;
  core::LinearOptions op;
  InitOptions init;
  core::SplitHint split{};  // where tensor parallelism may cut the weight
  bool operator==(const LinearLayer&) const = default;
};

struct Conv2dLayer {
  int64_t outputs = 0;
  int64_t kernel_h = 0, kernel_w = 0;
  bool bias = true;
  core::Conv2dOptions op;
  InitOptions init;
  bool operator==(const Conv2dLayer&) const = default;
};

struct MaxPool2dLayer {
  core::Pool2dOptions op{.kind = core::PoolKind::kMax};
  bool operator==(const MaxPool2dLayer&) const = default;
};

struct AveragePool2dLayer {
  core::Pool2dOptions op{.kind = core::PoolKind::kAverage};
  bool operator==(const AveragePool2dLayer&) const = default;
};

struct ReluLayer {
  bool operator==(const ReluLayer&) const = default;
};

struct GeluLayer {
  bool tanh_approximation = false;
  bool operator==(const GeluLayer&) const = default;
};

struct TanhLayer {
  bool operator==(const TanhLayer&) const = default;
};

struct SigmoidLayer {
  bool operator==(const SigmoidLayer&) const = default;
};

struct SiluLayer {
  bool operator==(const SiluLayer&) const = default;
};

struct FlattenLayer {
  bool operator==(const FlattenLayer&) const = default;
};

struct ReshapeLayer {
  std::vector<int64_t> dims;  // of one sample, without the batch; one may be -1
  bool operator==(const ReshapeLayer&) const = default;
};

struct AddLayer {
  bool operator==(const AddLayer&) const = default;
};

struct ScaleLayer {
  float factor = 0;
  bool operator==(const ScaleLayer&) const = default;
};

struct DropoutLayer {
  float probability = 0.5f;
  bool operator==(const DropoutLayer&) const = default;
};

struct SoftmaxCrossEntropyLayer {
  core::SoftmaxCrossEntropyOptions op;
  float weight = 1;  // of this loss in the total
  bool operator==(const SoftmaxCrossEntropyLayer&) const = default;
};

struct MeanSquaredErrorLayer {
  float weight = 1;
  std::string target = "data";  // an earlier layer, or kDataInput
  bool operator==(const MeanSquaredErrorLayer&) const = default;
};

// The name by which layers call the network's input.
inline constexpr char kDataInput[] = "data";

struct LayerOptions {
  using Op = std::variant<std::monostate, LinearLayer, Conv2dLayer, MaxPool2dLayer,
                          AveragePool2dLayer, ReluLayer, GeluLayer, TanhLayer, SigmoidLayer,
                          SiluLayer, FlattenLayer, ReshapeLayer, AddLayer, ScaleLayer, DropoutLayer,
                          SoftmaxCrossEntropyLayer, MeanSquaredErrorLayer>;
  std::string name;
  // Names of earlier layers, or kDataInput. A loaded job has every name filled in: two for add,
  // one for any other layer.
  std::vector<std::string> inputs;
  Op op;  // monostate only in a job that is refused
  SourcePlace place;

  bool is_loss() const {
    return std::holds_alternative<SoftmaxCrossEntropyLayer>(op) ||
           std::holds_alternative<MeanSquaredErrorLayer>(op);
  }
  bool operator==(const LayerOptions&) const = default;
};

// Linear layers with an activation (and dropout) between them, softmax cross-entropy at the end.
struct MlpOptions {
  std::vector<int64_t> hidden;
  core::ActivationKind activation = core::ActivationKind::kRelu;
  float dropout = 0;
  int64_t classes = 10;
  InitOptions init;
  bool operator==(const MlpOptions&) const = default;
};

// LeNet-5 with ReLU and max pooling, softmax cross-entropy at the end.
// Source: LeCun et al., Gradient-Based Learning Applied to Document Recognition (1998), section II.
struct Lenet5Options {
  int64_t classes = 10;
  InitOptions init;
  bool operator==(const Lenet5Options&) const = default;
};

// GPT-2: learned positions, pre-norm blocks, GELU by tanh.
// Source: Radford et al., Language Models are Unsupervised Multitask Learners (2019).
enum class GptPreset : uint8_t { kNone, k124M, k355M, k774M, k1558M };

struct GptOptions {
  GptPreset preset = GptPreset::kNone;
  int64_t layers = 0, width = 0, heads = 0;
  int64_t context = 0;  // positions
  int64_t vocabulary = 0;
  int64_t hidden = 0;  // of the MLP; 0: 4 width
  float dropout = 0;   // of the embedding and of what each block adds
  float epsilon = 1e-5f;
  bool tied = true;  // the head's weight is the token embedding

  int64_t mlp_width() const { return hidden != 0 ? hidden : 4 * width; }
  bool operator==(const GptOptions&) const = default;
};

// The published sizes; of kNone, nothing but defaults.
GptOptions gpt_preset(GptPreset preset);

// Llama: RMS norm, rotary positions, SwiGLU, grouped-query attention, no biases.
// Source: Touvron et al., Llama 2: Open Foundation and Fine-Tuned Chat Models (2023), section 2.2.
struct LlamaOptions {
  int64_t layers = 0, width = 0, heads = 0;
  int64_t kv_heads = 0;  // 0: as many as heads
  int64_t hidden = 0;    // of the MLP
  int64_t context = 0;
  int64_t vocabulary = 0;
  float theta = 10000;
  float epsilon = 1e-5f;
  bool tied = false;

  int64_t groups() const { return kv_heads != 0 ? kv_heads : heads; }
  bool operator==(const LlamaOptions&) const = default;
};

// A network that an outside project brings: the name of its builder, and whatever it reads.
struct CustomModelOptions {
  std::string name;
  std::map<std::string, std::string> parameters;
  bool operator==(const CustomModelOptions&) const = default;
};

using LayerList = std::vector<LayerOptions>;  // in the order in which they run

struct ModelOptions {
  std::variant<std::monostate, MlpOptions, Lenet5Options, GptOptions, LlamaOptions, LayerList,
               CustomModelOptions>
      network;
  SourcePlace place;
  bool operator==(const ModelOptions&) const = default;
};

// What a network of tokens can read.
struct LanguageLimits {
  int64_t vocabulary = 0, context = 0;
};
// Nothing for networks that read something else, or that this library does not know.
std::optional<LanguageLimits> language_limits(const ModelOptions& model);

}  // namespace trireme::models

#include <algorithm>
#include <optional>

#include "core/cpu/avx2_convolution.h"
#include "core/cpu/column_sums.h"
#include "core/cpu/onednn.h"
#include "core/ops/conv2d.h"
#include "core/ops/conv2d_shape.h"

namespace trireme::core {
namespace {

using onednn::Limits;
using onednn::Primitive;

ConvolutionSpec spec_of(const Conv2dOptions& options, const Shape& x, const Shape& weight) {
  const Conv2dShape shape = conv_shape(options, x, weight);
  return {.n = shape.n,
          .h = shape.h,
          .w = shape.w,
          .c = shape.c,
          .o = shape.o,
          .oh = shape.oh,
          .ow = shape.ow,
          .kh = shape.kh,
          .kw = shape.kw,
          .groups = options.groups,
          .stride_h = options.stride_h,
          .stride_w = options.stride_w,
          .pad_h = options.pad_h,
          .pad_w = options.pad_w,
          .dilation_h = options.dilation_h,
          .dilation_w = options.dilation_w};
}

class Conv2dKernel : public Kernel {
 public:
  Conv2dKernel(ConvolutionSpec spec, ActivationKind activation, bool has_bias, const Limits& limits)
      : has_bias_(has_bias), convolution_(make(spec, activation, limits)) {
    if (needs_input_for_gradient(activation))
      activation_ =
          onednn::make_activation(activation, spec.n * spec.oh * spec.ow * spec.o, limits);
  }

  void prepare(const KernelArgs& args) override {
    convolution_.prepare(args.inputs[1], args.prepared);
  }

  void run(const KernelArgs& args) override {
    const void* weight = convolution_.wants_prepared() ? args.prepared : args.inputs[1];
    const void* bias = has_bias_ ? args.inputs[2] : nullptr;
    void* z = args.outputs[activation_ ? 1 : 0];
    convolution_.run({args.inputs[0], weight, bias, z}, args.workspace);
    if (activation_) activation_->run({z, args.outputs[0]}, args.workspace);
  }

 private:
  Primitive make(ConvolutionSpec spec, ActivationKind activation, const Limits& limits) const {
    spec.bias = has_bias_;
    if (!needs_input_for_gradient(activation)) spec.activation = activation;
    return onednn::make_convolution(spec, limits);
  }

  bool has_bias_;
  Primitive convolution_;
  std::optional<Primitive> activation_;
};

bool fuses_own(ActivationKind kind) {
  return kind == ActivationKind::kNone || kind == ActivationKind::kRelu;
}

// Convolutions of few channels, by our own loops.
class Conv2dOwnKernel : public Kernel {
 public:
  Conv2dOwnKernel(ConvolutionSpec spec, ActivationKind activation, bool has_bias,
                  const Limits& limits)
      : spec_(spec),
        has_bias_(has_bias),
        has_z_(needs_input_for_gradient(activation)),
        threads_(limits.threads) {
    if (fuses_own(activation))
      spec_.activation = activation;
    else
      activation_ =
          onednn::make_activation(activation, spec.n * spec.oh * spec.ow * spec.o, limits);
  }

  void run(const KernelArgs& args) override {
    auto* z = args.out<float>(has_z_ ? 1 : 0);
    avx2_convolution(spec_, args.in<float>(0), args.in<float>(1),
                     has_bias_ ? args.in<float>(2) : nullptr, z, args.workspace, threads_);
    if (activation_) activation_->run({z, args.outputs[0]}, args.workspace);
  }

 private:
  ConvolutionSpec spec_;
  bool has_bias_;
  bool has_z_;
  int threads_;
  std::optional<Primitive> activation_;
};

class Conv2dGradWeightOwnKernel : public Kernel {
 public:
  Conv2dGradWeightOwnKernel(const ConvolutionSpec& spec, bool has_bias, int threads)
      : spec_(spec), has_bias_(has_bias), threads_(threads) {}

  void run(const KernelArgs& args) override {
    avx2_convolution_grad_weight(spec_, args.in<float>(0), args.in<float>(1), args.accumulate,
                                 args.out<float>(0), args.workspace, threads_);
    if (has_bias_)
      column_sums(args.in<float>(0), spec_.n * spec_.oh * spec_.ow, spec_.o, args.accumulate,
                  args.out<float>(1), threads_);
  }

 private:
  ConvolutionSpec spec_;
  bool has_bias_;
  int threads_;
};

class Conv2dGradInputKernel : public Kernel {
 public:
  Conv2dGradInputKernel(const ConvolutionSpec& spec, const Limits& limits)
      : convolution_(onednn::make_convolution_grad_input(spec, limits)) {}

  void prepare(const KernelArgs& args) override {
    convolution_.prepare(args.inputs[1], args.prepared);
  }

  void run(const KernelArgs& args) override {
    const void* weight = convolution_.wants_prepared() ? args.prepared : args.inputs[1];
    convolution_.run({args.inputs[0], weight, args.outputs[0]}, args.workspace);
  }

 private:
  Primitive convolution_;
};

// The library replaces its results, so that what accumulates passes through the workspace.
class Conv2dGradWeightKernel : public Kernel {
 public:
  Conv2dGradWeightKernel(ConvolutionSpec spec, bool has_bias, int64_t weight_elements,
                         const Limits& limits)
      : weight_elements_(weight_elements),
        bias_elements_(has_bias ? spec.o : 0),
        own_bytes_((4 * (weight_elements_ + spec.o) + 255) / 256 * 256),
        convolution_(make(spec, has_bias, limits)) {}

  void run(const KernelArgs& args) override {
    auto* own = static_cast<float*>(args.workspace);
    float* dweight = args.accumulate ? own : args.out<float>(0);
    float* dbias = nullptr;
    if (bias_elements_ > 0) dbias = args.accumulate ? own + weight_elements_ : args.out<float>(1);
    convolution_.run({args.inputs[1], args.inputs[0], dweight, dbias},
                     static_cast<std::byte*>(args.workspace) + own_bytes_);
    if (!args.accumulate) return;
    add(dweight, weight_elements_, args.out<float>(0));
    if (dbias != nullptr) add(dbias, bias_elements_, args.out<float>(1));
  }

 private:
  Primitive make(ConvolutionSpec spec, bool has_bias, Limits limits) const {
    spec.bias = has_bias;
    limits.workspace_bytes -= own_bytes_;
    return onednn::make_convolution_grad_weight(spec, limits);
  }
  static void add(const float* from, int64_t count, float* to) {
    for (int64_t i = 0; i < count; ++i) to[i] += from[i];
  }

  int64_t weight_elements_;
  int64_t bias_elements_;
  int64_t own_bytes_;
  Primitive convolution_;
};

template <typename Op>
Limits limits_of(const Op& op, const NodeTypes& types, const KernelContext& context) {
  return {.threads = context.threads,
          .workspace_bytes = op.workspace_cap(types, DeviceKind::kCpu),
          .prepared_bytes = op.prepared_cap(types, DeviceKind::kCpu)};
}

}  // namespace

std::unique_ptr<Kernel> Conv2d::cpu_kernel(const NodeTypes& types,
                                           const KernelContext& context) const {
  const bool has_bias = types.inputs.size() > 2 && types.inputs[2].present();
  const ConvolutionSpec spec = spec_of(options_, types.inputs[0].shape, types.inputs[1].shape);
  const Limits limits = limits_of(*this, types, context);
  if (suits_avx2_convolution(spec) &&
      avx2_convolution_workspace(spec, limits.threads) <= limits.workspace_bytes)
    return std::make_unique<Conv2dOwnKernel>(spec, options_.activation, has_bias, limits);
  return std::make_unique<Conv2dKernel>(spec, options_.activation, has_bias, limits);
}

std::unique_ptr<Kernel> Conv2dGradInput::cpu_kernel(const NodeTypes& types,
                                                    const KernelContext& context) const {
  return std::make_unique<Conv2dGradInputKernel>(spec_of(options_, x_, types.inputs[1].shape),
                                                 limits_of(*this, types, context));
}

std::unique_ptr<Kernel> Conv2dGradWeight::cpu_kernel(const NodeTypes& types,
                                                     const KernelContext& context) const {
  const ConvolutionSpec spec = spec_of(options_, types.inputs[1].shape, weight_);
  const Limits limits = limits_of(*this, types, context);
  if (suits_avx2_convolution(spec) &&
      avx2_convolution_grad_weight_workspace(spec, limits.threads) <= limits.workspace_bytes)
    return std::make_unique<Conv2dGradWeightOwnKernel>(spec, has_bias_, limits.threads);
  return std::make_unique<Conv2dGradWeightKernel>(spec, has_bias_, weight_.elements(), limits);
}

}  // namespace trireme::core

#include <algorithm>
#include <optional>

#include "core/cpu/activation_loops.h"
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

// The convolution itself: by our own loops where channels are few, else by oneDNN.
class Convolution {
 public:
  Convolution(const ConvolutionSpec& spec, const Limits& limits)
      : spec_(spec), threads_(limits.threads) {
    if (!suits_avx2_convolution(spec) ||
        avx2_convolution_workspace(spec, threads_) > limits.workspace_bytes)
      library_ = onednn::make_convolution(spec, limits);
  }

  void prepare(const KernelArgs& args) const {
    if (library_) library_->prepare(args.inputs[1], args.prepared);
  }

  void run(const KernelArgs& args, float* z) const {
    const float* bias = spec_.bias ? args.in<float>(2) : nullptr;
    if (!library_)
      return avx2_convolution(spec_, args.in<float>(0), args.in<float>(1), bias, z, args.workspace,
                              threads_);
    const void* weight = library_->wants_prepared() ? args.prepared : args.inputs[1];
    library_->run({args.inputs[0], weight, bias, z}, args.workspace);
  }

 private:
  ConvolutionSpec spec_;
  int threads_;
  std::optional<Primitive> library_;
};

class Conv2dKernel : public Kernel {
 public:
  Conv2dKernel(ConvolutionSpec spec, ActivationKind activation, const Limits& limits)
      : has_z_(needs_input_for_gradient(activation)),
        after_(fuses(activation) ? ActivationKind::kNone : activation),
        elements_(spec.n * spec.oh * spec.ow * spec.o),
        threads_(limits.threads),
        convolution_(with_fused(spec, activation), limits) {}

  void prepare(const KernelArgs& args) override { convolution_.prepare(args); }

  void run(const KernelArgs& args) override {
    auto* z = args.out<float>(has_z_ ? 1 : 0);
    convolution_.run(args, z);
    if (after_ != ActivationKind::kNone)
      activation_forward(after_, z, args.out<float>(0), elements_, threads_);
  }

 private:
  // The others take a pass of their own: GELU because z is an output too, all of them so that they
  // have the bits of the op of that name.
  static bool fuses(ActivationKind kind) {
    return kind == ActivationKind::kNone || kind == ActivationKind::kRelu;
  }
  static ConvolutionSpec with_fused(ConvolutionSpec spec, ActivationKind activation) {
    if (fuses(activation)) spec.activation = activation;
    return spec;
  }

  bool has_z_;
  ActivationKind after_;
  int64_t elements_;
  int threads_;
  Convolution convolution_;
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
  ConvolutionSpec spec = spec_of(options_, types.inputs[0].shape, types.inputs[1].shape);
  spec.bias = types.inputs.size() > 2 && types.inputs[2].present();
  return std::make_unique<Conv2dKernel>(spec, options_.activation,
                                        limits_of(*this, types, context));
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

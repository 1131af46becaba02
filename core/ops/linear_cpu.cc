#include <optional>

#include "core/cpu/column_sums.h"
#include "core/cpu/onednn.h"
#include "core/ops/linear.h"

namespace trireme::core {
namespace {

using onednn::Limits;
using onednn::Primitive;

class LinearKernel : public Kernel {
 public:
  LinearKernel(const NodeTypes& types, ActivationKind activation, const Limits& limits)
      : product_(make_product(types, activation, limits)) {
    if (needs_input_for_gradient(activation))
      activation_ = onednn::make_activation(activation, types.outputs[0].elements(), limits);
  }

  void prepare(const KernelArgs& args) override { product_.prepare(args.inputs[1], args.prepared); }

  void run(const KernelArgs& args) override {
    const void* weight = product_.wants_prepared() ? args.prepared : args.inputs[1];
    const void* bias = has_bias_ ? args.inputs[2] : nullptr;
    void* product = args.outputs[activation_ ? 1 : 0];
    product_.run({args.inputs[0], weight, bias, product}, args.workspace);
    if (activation_) activation_->run({product, args.outputs[0]}, args.workspace);
  }

 private:
  Primitive make_product(const NodeTypes& types, ActivationKind activation, const Limits& limits) {
    const Shape& weight = types.inputs[1].shape;
    has_bias_ = types.inputs.size() > 2 && types.inputs[2].present();
    const bool fused = !needs_input_for_gradient(activation);
    return onednn::make_matmul({.m = types.outputs[0].elements() / weight[0],
                                .n = weight[0],
                                .k = weight[1],
                                .b_transposed = true,
                                .bias = has_bias_,
                                .activation = fused ? activation : ActivationKind::kNone},
                               limits);
  }

  bool has_bias_ = false;
  Primitive product_;
  std::optional<Primitive> activation_;
};

class LinearGradInputKernel : public Kernel {
 public:
  LinearGradInputKernel(const NodeTypes& types, const Limits& limits)
      : product_(onednn::make_matmul({.m = types.inputs[0].elements() / types.inputs[1].shape[0],
                                      .n = types.inputs[1].shape[1],
                                      .k = types.inputs[1].shape[0]},
                                     limits)) {}

  void prepare(const KernelArgs& args) override { product_.prepare(args.inputs[1], args.prepared); }

  void run(const KernelArgs& args) override {
    const void* weight = product_.wants_prepared() ? args.prepared : args.inputs[1];
    product_.run({args.inputs[0], weight, args.outputs[0]}, args.workspace);
  }

 private:
  Primitive product_;
};

class LinearGradWeightKernel : public Kernel {
 public:
  LinearGradWeightKernel(const NodeTypes& types, const Limits& limits)
      : out_(types.outputs[0].shape[0]),
        rows_(types.inputs[0].elements() / out_),
        has_bias_(types.outputs.size() > 1),
        threads_(limits.threads),
        replace_(make_product(types, false, limits)),
        accumulate_(make_product(types, true, limits)) {}

  void run(const KernelArgs& args) override {
    const Primitive& product = args.accumulate ? accumulate_ : replace_;
    product.run({args.inputs[0], args.inputs[1], args.outputs[0]}, args.workspace);
    if (has_bias_)
      column_sums(args.in<float>(0), rows_, out_, args.accumulate, args.out<float>(1), threads_);
  }

 private:
  Primitive make_product(const NodeTypes& types, bool accumulate, const Limits& limits) const {
    return onednn::make_matmul({.m = out_,
                                .n = types.outputs[0].shape[1],
                                .k = rows_,
                                .a_transposed = true,
                                .accumulate = accumulate},
                               limits);
  }

  int64_t out_;
  int64_t rows_;
  bool has_bias_;
  int threads_;
  Primitive replace_;
  Primitive accumulate_;
};

template <typename Op>
Limits limits_of(const Op& op, const NodeTypes& types, const KernelContext& context) {
  return {.threads = context.threads,
          .workspace_bytes = op.workspace_cap(types, DeviceKind::kCpu),
          .prepared_bytes = op.prepared_cap(types, DeviceKind::kCpu)};
}

}  // namespace

std::unique_ptr<Kernel> Linear::cpu_kernel(const NodeTypes& types,
                                           const KernelContext& context) const {
  return std::make_unique<LinearKernel>(types, options_.activation,
                                        limits_of(*this, types, context));
}

std::unique_ptr<Kernel> LinearGradInput::cpu_kernel(const NodeTypes& types,
                                                    const KernelContext& context) const {
  return std::make_unique<LinearGradInputKernel>(types, limits_of(*this, types, context));
}

std::unique_ptr<Kernel> LinearGradWeight::cpu_kernel(const NodeTypes& types,
                                                     const KernelContext& context) const {
  return std::make_unique<LinearGradWeightKernel>(types, limits_of(*this, types, context));
}

}  // namespace trireme::core

#include <optional>

#include "core/cpu/activation_loops.h"
#include "core/cpu/avx2_product.h"
#include "core/cpu/column_sums.h"
#include "core/cpu/onednn.h"
#include "core/ops/linear.h"
#include "core/ops/linear_product.h"

namespace trireme::core {
namespace {

using onednn::Limits;
using onednn::Primitive;

// a b by our own loops or by oneDNN, whichever is the faster one on this CPU.
class Product {
 public:
  struct Spec {
    int64_t m = 0, n = 0, k = 0;
    bool b_transposed = false;
    bool bias = false;
    ActivationKind activation = ActivationKind::kNone;
  };

  Product(const Spec& spec, const Limits& limits) : threads_(limits.threads) {
    if (has_avx2_product())
      own_ = {.m = spec.m,
              .n = spec.n,
              .k = spec.k,
              .b_transposed = spec.b_transposed,
              .relu = spec.activation == ActivationKind::kRelu};
    else
      library_ = onednn::make_matmul({.m = spec.m,
                                      .n = spec.n,
                                      .k = spec.k,
                                      .b_transposed = spec.b_transposed,
                                      .bias = spec.bias,
                                      .activation = spec.activation},
                                     limits);
  }

  void prepare(const KernelArgs& args) {
    if (library_) library_->prepare(args.inputs[1], args.prepared);
  }

  // args.inputs[1] is b, a weight.
  void run(const KernelArgs& args, const float* bias, float* c) const {
    if (!library_) return own_.run(args.in<float>(0), args.in<float>(1), bias, c, threads_);
    const void* weight = library_->wants_prepared() ? args.prepared : args.inputs[1];
    library_->run({args.inputs[0], weight, bias, c}, args.workspace);
  }

 private:
  int threads_;
  Avx2Product own_;
  std::optional<Primitive> library_;
};

class LinearKernel : public Kernel {
 public:
  LinearKernel(const NodeTypes& types, ActivationKind activation, const Limits& limits)
      : has_bias_(types.inputs.size() > 2 && types.inputs[2].present()),
        has_z_(needs_input_for_gradient(activation)),
        fused_(fuses(activation) ? activation : ActivationKind::kNone),
        after_(fuses(activation) ? ActivationKind::kNone : activation),
        elements_(types.outputs[0].elements()),
        threads_(limits.threads),
        product_(spec(types), limits) {}

  void prepare(const KernelArgs& args) override { product_.prepare(args); }

  void run(const KernelArgs& args) override {
    auto* z = args.out<float>(has_z_ ? 1 : 0);
    product_.run(args, has_bias_ ? args.in<float>(2) : nullptr, z);
    if (after_ != ActivationKind::kNone)
      activation_forward(after_, z, args.out<float>(0), elements_, threads_);
  }

 private:
  // The others take a pass of their own: GELU because z is an output too, all of them so that they
  // have the bits of the op of that name.
  static bool fuses(ActivationKind kind) {
    return kind == ActivationKind::kNone || kind == ActivationKind::kRelu;
  }
  Product::Spec spec(const NodeTypes& types) const {
    const Shape& weight = types.inputs[1].shape;
    return {.m = elements_ / weight[0],
            .n = weight[0],
            .k = weight[1],
            .b_transposed = true,
            .bias = has_bias_,
            .activation = fused_};
  }

  bool has_bias_;
  bool has_z_;
  ActivationKind fused_;  // into the product
  ActivationKind after_;
  int64_t elements_;
  int threads_;
  Product product_;
};

class LinearGradInputKernel : public Kernel {
 public:
  LinearGradInputKernel(const NodeTypes& types, const Limits& limits)
      : product_({.m = types.inputs[0].elements() / types.inputs[1].shape[0],
                  .n = types.inputs[1].shape[1],
                  .k = types.inputs[1].shape[0]},
                 limits) {}

  void prepare(const KernelArgs& args) override { product_.prepare(args); }
  void run(const KernelArgs& args) override { product_.run(args, nullptr, args.out<float>(0)); }

 private:
  Product product_;
};

class LinearGradWeightOwnKernel : public Kernel {
 public:
  LinearGradWeightOwnKernel(const NodeTypes& types, int threads)
      : product_(linear_grad_weight_product(types)),
        has_bias_(types.outputs.size() > 1),
        threads_(threads) {}

  void run(const KernelArgs& args) override {
    Avx2Product product = product_;
    product.accumulate = args.accumulate;
    const auto *dz = args.in<float>(0), *x = args.in<float>(1);
    product.run(dz, x, nullptr, args.out<float>(0), threads_, args.workspace);
    if (has_bias_)
      column_sums(dz, product.k, product.m, args.accumulate, args.out<float>(1), threads_);
  }

 private:
  Avx2Product product_;
  bool has_bias_;
  int threads_;
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
  if (has_avx2_product())
    return std::make_unique<LinearGradWeightOwnKernel>(types, context.threads);
  return std::make_unique<LinearGradWeightKernel>(types, limits_of(*this, types, context));
}

}  // namespace trireme::core

#include <optional>

#include "core/base/error.h"
#include "core/cpu/activation_loops.h"
#include "core/cpu/avx2_product.h"
#include "core/cpu/column_sums.h"
#include "core/cpu/half_products.h"
#include "core/cpu/onednn.h"
#include "core/ops/linear.h"
#include "core/ops/linear_product.h"

namespace trireme::core {
namespace {

using onednn::Limits;
using onednn::Primitive;

// Of a library that works behind rounded copies.
Limits behind_copies(Limits limits, DType operands, std::initializer_list<int64_t> elements) {
  if (operands != DType::kF32)
    for (int64_t count : elements) limits.workspace_bytes -= Bf16Copies::bytes(count);
  return limits;
}

// a b by our own loops or by oneDNN, whichever is the faster one on this CPU.
class Product {
 public:
  struct Spec {
    Avx2Product sizes;
    bool bias = false;
    ActivationKind activation = ActivationKind::kNone;
    DType operands = DType::kF32;
  };

  Product(const Spec& spec, const Limits& limits)
      : threads_(limits.threads),
        rounded_(spec.operands == DType::kF32 ? 0 : spec.sizes.m * spec.sizes.k),
        own_(spec.sizes) {
    own_.relu = spec.activation == ActivationKind::kRelu;
    if (spec.operands != DType::kF32 || !has_avx2_product())
      library_ = onednn::make_matmul({.m = own_.m,
                                      .n = own_.n,
                                      .k = own_.k,
                                      .b_transposed = own_.b_transposed,
                                      .bias = spec.bias,
                                      .activation = spec.activation,
                                      .operands = spec.operands},
                                     behind_copies(limits, spec.operands, {rounded_}));
  }

  void prepare(const KernelArgs& args) {
    if (library_) library_->prepare(args.inputs[1], args.prepared);
  }

  // args.inputs[1] is b, a weight.
  void run(const KernelArgs& args, const float* bias, float* c) const {
    if (!library_)
      return own_.run(args.in<float>(0), args.in<float>(1), bias, c, threads_, args.workspace);
    const void* weight = library_->wants_prepared() ? args.prepared : args.inputs[1];
    Bf16Copies copies(args.workspace, threads_);
    const void* a = rounded_ > 0 ? copies.add(args.in<float>(0), rounded_) : args.inputs[0];
    library_->run({a, weight, bias, c}, copies.rest());
  }

 private:
  int threads_;
  int64_t rounded_;  // elements of a
  Avx2Product own_;
  std::optional<Primitive> library_;
};

class LinearKernel : public Kernel {
 public:
  LinearKernel(const NodeTypes& types, const LinearOptions& options, const Limits& limits)
      : has_bias_(types.inputs.size() > 2 && types.inputs[2].present()),
        has_z_(needs_input_for_gradient(options.activation)),
        fused_(fuses(options.activation) ? options.activation : ActivationKind::kNone),
        after_(fuses(options.activation) ? ActivationKind::kNone : options.activation),
        elements_(types.outputs[0].elements()),
        threads_(limits.threads),
        product_(spec(types, options.operands), limits) {}

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
  Product::Spec spec(const NodeTypes& types, DType operands) const {
    return {.sizes = linear_product(types),
            .bias = has_bias_,
            .activation = fused_,
            .operands = operands};
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
  LinearGradInputKernel(const NodeTypes& types, DType operands, const Limits& limits)
      : product_({.sizes = linear_grad_input_product(types), .operands = operands}, limits) {}

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
  LinearGradWeightKernel(const NodeTypes& types, DType operands, const Limits& limits)
      : out_(types.outputs[0].shape[0]),
        rows_(types.inputs[0].elements() / out_),
        has_bias_(types.outputs.size() > 1),
        in_(types.outputs[0].shape[1]),
        threads_(limits.threads),
        operands_(operands),
        replace_(make_product(false, limits)),
        accumulate_(make_product(true, limits)) {}

  void run(const KernelArgs& args) override {
    const Primitive& product = args.accumulate ? accumulate_ : replace_;
    const void *dz = args.inputs[0], *x = args.inputs[1];
    Bf16Copies copies(args.workspace, threads_);
    if (operands_ != DType::kF32) {
      dz = copies.add(args.in<float>(0), rows_ * out_);
      x = copies.add(args.in<float>(1), rows_ * in_);
    }
    product.run({dz, x, args.outputs[0]}, copies.rest());
    if (has_bias_)
      column_sums(args.in<float>(0), rows_, out_, args.accumulate, args.out<float>(1), threads_);
  }

 private:
  Primitive make_product(bool accumulate, const Limits& limits) const {
    return onednn::make_matmul({.m = out_,
                                .n = in_,
                                .k = rows_,
                                .a_transposed = true,
                                .accumulate = accumulate,
                                .operands = operands_},
                               behind_copies(limits, operands_, {rows_ * out_, rows_ * in_}));
  }

  int64_t out_;
  int64_t rows_;
  bool has_bias_;
  int64_t in_;
  int threads_;
  DType operands_;
  Primitive replace_;
  Primitive accumulate_;
};

template <typename Op>
Limits limits_of(const Op& op, const NodeTypes& types, const KernelContext& context) {
  return {.threads = context.threads,
          .workspace_bytes = op.workspace_cap(types, DeviceKind::kCpu),
          .prepared_bytes = op.prepared_cap(types, DeviceKind::kCpu)};
}

std::unique_ptr<Kernel> grad_weight_kernel(const NodeTypes& types, DType operands,
                                           const Limits& limits) {
  if (operands == DType::kF32 && has_avx2_product())
    return std::make_unique<LinearGradWeightOwnKernel>(types, limits.threads);
  return std::make_unique<LinearGradWeightKernel>(types, operands, limits);
}

// The bias's gradient is of dz as it is.
class RoundedGradWeightKernel : public Kernel {
 public:
  RoundedGradWeightKernel(const NodeTypes& types, DType operands, const Limits& limits)
      : out_(types.outputs[0].shape[0]),
        rows_(types.inputs[0].elements() / out_),
        has_bias_(types.outputs.size() > 1),
        threads_(limits.threads),
        weight_(grad_weight_kernel({types.inputs, types.outputs.first(1)}, DType::kF32, limits),
                operands, types, true, limits.threads) {}

  void run(const KernelArgs& args) override {
    weight_.run(args);
    if (has_bias_)
      column_sums(args.in<float>(0), rows_, out_, args.accumulate, args.out<float>(1), threads_);
  }

 private:
  int64_t out_, rows_;
  bool has_bias_;
  int threads_;
  RoundedKernel weight_;
};

// Whether operands are to be rounded and multiplied in f32. Throws InvalidArgument for operands
// that this CPU does not multiply.
bool is_rounded(DType operands, const KernelContext& context) {
  if (operands == DType::kF32) return false;
  if (context.half == HalfProducts::kRounded) return true;
  if (const std::string why = no_cpu_products(operands); !why.empty()) fail("[linear] {}", why);
  return false;
}

}  // namespace

std::unique_ptr<Kernel> Linear::cpu_kernel(const NodeTypes& types,
                                           const KernelContext& context) const {
  Limits limits = limits_of(*this, types, context);
  if (!is_rounded(operands(), context))
    return std::make_unique<LinearKernel>(types, options_, limits);
  limits.prepared_bytes = 0;
  const LinearOptions f32{.activation = options_.activation};
  return std::make_unique<RoundedKernel>(std::make_unique<LinearKernel>(types, f32, limits),
                                         operands(), types, false, context.threads);
}

std::unique_ptr<Kernel> LinearGradInput::cpu_kernel(const NodeTypes& types,
                                                    const KernelContext& context) const {
  Limits limits = limits_of(*this, types, context);
  if (!is_rounded(operands_, context))
    return std::make_unique<LinearGradInputKernel>(types, operands_, limits);
  limits.prepared_bytes = 0;
  return std::make_unique<RoundedKernel>(
      std::make_unique<LinearGradInputKernel>(types, DType::kF32, limits), operands_, types, true,
      context.threads);
}

std::unique_ptr<Kernel> LinearGradWeight::cpu_kernel(const NodeTypes& types,
                                                     const KernelContext& context) const {
  const Limits limits = limits_of(*this, types, context);
  if (is_rounded(operands_, context))
    return std::make_unique<RoundedGradWeightKernel>(types, operands_, limits);
  return grad_weight_kernel(types, operands_, limits);
}

}  // namespace trireme::core

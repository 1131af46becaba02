// Linear and its gradients as cuBLASLt products. Bias and ReLU are fused where cuBLASLt can; GELU
// keeps its pre-activation and has a kernel of ours, since cuBLASLt's is the tanh form alone.
#include "core/base/error.h"
#include "core/cuda/bias_activation.h"
#include "core/cuda/cublas_matmul.h"
#include "core/cuda/half_copies.h"
#include "core/ops/linear.h"
#include "core/runtime/step_state.h"

namespace trireme::core {
namespace {

// All leading dimensions of `type` as one: a matrix (rows, last dimension).
int64_t rows_of(const ValueType& type) { return type.shape.elements() / type.shape[-1]; }

MatmulEpilogue epilogue_for(bool bias, ActivationKind activation) {
  const bool relu = activation == ActivationKind::kRelu;
  if (bias) return relu ? MatmulEpilogue::kReluBias : MatmulEpilogue::kBias;
  return relu ? MatmulEpilogue::kRelu : MatmulEpilogue::kNone;
}

// What turns f32 into operands, and back: dz of f16 is scaled, the products with it are not.
const float* scale_of(DType operands, const KernelArgs& args) {
  return operands == DType::kF16 ? &args.step->loss_scale : nullptr;
}
const float* inverse_scale_of(DType operands, const KernelArgs& args) {
  return operands == DType::kF16 ? &args.step->inverse_loss_scale : nullptr;
}

// A weight as products take it: itself, or rounded once after each update.
class Weight {
 public:
  Weight(const ValueType& type, DType operands) : elements_(type.elements()), operands_(operands) {}
  void prepare(const KernelArgs& args) const {
    if (operands_ != DType::kF32)
      write_half(operands_, args.in<float>(1), nullptr, args.prepared, elements_, args.stream);
  }
  const void* of(const KernelArgs& args) const {
    return operands_ == DType::kF32 ? args.inputs[1] : args.prepared;
  }

 private:
  int64_t elements_;
  DType operands_;
};

// y = f(x W^T + b)
class LinearCuda : public Kernel {
 public:
  LinearCuda(const LinearOptions& options, const NodeTypes& types, CudaContext& cuda, int64_t cap)
      : rows_(rows_of(types.outputs[0])),
        columns_(types.outputs[0].shape[-1]),
        inner_(types.inputs[0].shape[-1]),
        has_bias_(types.inputs.size() > 2 && types.inputs[2].present()),
        keeps_z_(types.outputs.size() > 1),
        activation_(options.activation),
        operands_(options.operands),
        weight_(types.inputs[1], operands_),
        matmul_(cuda, {rows_, columns_, inner_, false, true, operands_},
                epilogue_for(has_bias_, activation_),
                cap - HalfCopies::bytes(operands_, rows_ * inner_)) {}

  void prepare(const KernelArgs& args) override { weight_.prepare(args); }

  void run(const KernelArgs& args) override {
    const float* bias = has_bias_ ? args.in<float>(2) : nullptr;
    float* y = args.out<float>(0);
    float* z = keeps_z_ ? args.out<float>(1) : y;
    HalfCopies copies(args.workspace, operands_, args.stream);
    const void* x = copies.add(args.in<float>(0), rows_ * inner_);
    matmul_.run(x, weight_.of(args), bias, z, false, copies.rest(), args.stream);
    const float* bias_left = bias_fused() ? nullptr : bias;
    const ActivationKind activation_left = activation_fused() ? ActivationKind::kNone : activation_;
    if (bias_left || activation_left != ActivationKind::kNone || z != y)
      add_bias_activation(z, bias_left, y, rows_, columns_, activation_left, args.stream);
  }

 private:
  bool bias_fused() const {
    return matmul_.epilogue() == MatmulEpilogue::kBias ||
           matmul_.epilogue() == MatmulEpilogue::kReluBias;
  }
  bool activation_fused() const {
    return matmul_.epilogue() == MatmulEpilogue::kRelu ||
           matmul_.epilogue() == MatmulEpilogue::kReluBias;
  }

  int64_t rows_, columns_, inner_;
  bool has_bias_, keeps_z_;
  ActivationKind activation_;
  DType operands_;
  Weight weight_;
  CublasMatmul matmul_;
};

// dx = dz W
class LinearGradInputCuda : public Kernel {
 public:
  LinearGradInputCuda(const NodeTypes& types, DType operands, CudaContext& cuda, int64_t cap)
      : elements_(types.inputs[0].elements()),
        operands_(operands),
        weight_(types.inputs[1], operands),
        matmul_(cuda,
                {rows_of(types.inputs[0]), types.inputs[1].shape[1], types.inputs[1].shape[0],
                 false, false, operands, operands == DType::kF16},
                MatmulEpilogue::kNone, cap - HalfCopies::bytes(operands, elements_)) {}

  void prepare(const KernelArgs& args) override { weight_.prepare(args); }

  void run(const KernelArgs& args) override {
    HalfCopies copies(args.workspace, operands_, args.stream);
    const void* dz = copies.add(args.in<float>(0), elements_, scale_of(operands_, args));
    matmul_.run(dz, weight_.of(args), nullptr, args.out<float>(0), args.accumulate, copies.rest(),
                args.stream, inverse_scale_of(operands_, args));
  }

 private:
  int64_t elements_;
  DType operands_;
  Weight weight_;
  CublasMatmul matmul_;
};

// dW = dz^T x, db = sum of dz's rows
class LinearGradWeightCuda : public Kernel {
 public:
  LinearGradWeightCuda(bool has_bias, DType operands, const NodeTypes& types, CudaContext& cuda,
                       int64_t cap)
      : rows_(rows_of(types.inputs[0])),
        columns_(types.inputs[0].shape[-1]),
        inner_(types.inputs[1].shape[-1]),
        has_bias_(has_bias),
        operands_(operands),
        matmul_(cuda, {columns_, inner_, rows_, true, false, operands, operands == DType::kF16},
                MatmulEpilogue::kNone,
                cap - HalfCopies::bytes(operands, rows_ * columns_) -
                    HalfCopies::bytes(operands, rows_ * inner_)) {
    ensure(!has_bias || column_sums_workspace_bytes(rows_, columns_) <= cap,
           "[linear_grad_weight] the bias gradient needs more than the workspace cap");
  }

  void run(const KernelArgs& args) override {
    const float* dz = args.in<float>(0);
    HalfCopies copies(args.workspace, operands_, args.stream);
    const void* a = copies.add(dz, rows_ * columns_, scale_of(operands_, args));
    const void* b = copies.add(args.in<float>(1), rows_ * inner_);
    matmul_.run(a, b, nullptr, args.out<float>(0), args.accumulate, copies.rest(), args.stream,
                inverse_scale_of(operands_, args));
    if (has_bias_)  // cuBLASLt's bias gradient cannot accumulate
      column_sums(dz, args.out<float>(1), rows_, columns_, args.accumulate, args.workspace,
                  args.stream);
  }

 private:
  int64_t rows_, columns_, inner_;
  bool has_bias_;
  DType operands_;
  CublasMatmul matmul_;
};

}  // namespace

std::unique_ptr<Kernel> Linear::cuda_kernel(const NodeTypes& types,
                                            const KernelContext& context) const {
  return std::make_unique<LinearCuda>(options_, types, *context.cuda,
                                      workspace_cap(types, DeviceKind::kCuda));
}

std::unique_ptr<Kernel> LinearGradInput::cuda_kernel(const NodeTypes& types,
                                                     const KernelContext& context) const {
  return std::make_unique<LinearGradInputCuda>(types, operands_, *context.cuda,
                                               workspace_cap(types, DeviceKind::kCuda));
}

std::unique_ptr<Kernel> LinearGradWeight::cuda_kernel(const NodeTypes& types,
                                                      const KernelContext& context) const {
  return std::make_unique<LinearGradWeightCuda>(has_bias_, operands_, types, *context.cuda,
                                                workspace_cap(types, DeviceKind::kCuda));
}

}  // namespace trireme::core

// Linear and its gradients as cuBLASLt products. Bias and ReLU are fused where cuBLASLt can; GELU
// keeps its pre-activation and has a kernel of ours, since cuBLASLt's is the tanh form alone.
#include "core/base/error.h"
#include "core/cuda/bias_activation.h"
#include "core/cuda/cublas_matmul.h"
#include "core/ops/linear.h"

namespace trireme::core {
namespace {

// All leading dimensions of `type` as one: a matrix (rows, last dimension).
int64_t rows_of(const ValueType& type) { return type.shape.elements() / type.shape[-1]; }

MatmulEpilogue epilogue_for(bool bias, ActivationKind activation) {
  const bool relu = activation == ActivationKind::kRelu;
  if (bias) return relu ? MatmulEpilogue::kReluBias : MatmulEpilogue::kBias;
  return relu ? MatmulEpilogue::kRelu : MatmulEpilogue::kNone;
}

// y = f(x W^T + b)
class LinearCuda : public Kernel {
 public:
  LinearCuda(ActivationKind activation, const NodeTypes& types, CudaContext& cuda, int64_t cap)
      : rows_(rows_of(types.outputs[0])),
        columns_(types.outputs[0].shape[-1]),
        has_bias_(types.inputs.size() > 2 && types.inputs[2].present()),
        keeps_z_(types.outputs.size() > 1),
        activation_(activation),
        matmul_(cuda, {rows_, columns_, types.inputs[0].shape[-1], false, true},
                epilogue_for(has_bias_, activation), cap) {}

  void run(const KernelArgs& args) override {
    const float* bias = has_bias_ ? args.in<float>(2) : nullptr;
    float* y = args.out<float>(0);
    float* z = keeps_z_ ? args.out<float>(1) : y;
    matmul_.run(args.in<float>(0), args.in<float>(1), bias, z, false, args.workspace, args.stream);
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

  int64_t rows_, columns_;
  bool has_bias_, keeps_z_;
  ActivationKind activation_;
  CublasMatmul matmul_;
};

// dx = dz W
class LinearGradInputCuda : public Kernel {
 public:
  LinearGradInputCuda(const NodeTypes& types, CudaContext& cuda, int64_t cap)
      : matmul_(cuda,
                {rows_of(types.inputs[0]), types.inputs[1].shape[1], types.inputs[1].shape[0]},
                MatmulEpilogue::kNone, cap) {}

  void run(const KernelArgs& args) override {
    matmul_.run(args.in<float>(0), args.in<float>(1), nullptr, args.out<float>(0), args.accumulate,
                args.workspace, args.stream);
  }

 private:
  CublasMatmul matmul_;
};

// dW = dz^T x, db = sum of dz's rows
class LinearGradWeightCuda : public Kernel {
 public:
  LinearGradWeightCuda(bool has_bias, const NodeTypes& types, CudaContext& cuda, int64_t cap)
      : rows_(rows_of(types.inputs[0])),
        columns_(types.inputs[0].shape[-1]),
        has_bias_(has_bias),
        matmul_(cuda, {columns_, types.inputs[1].shape[-1], rows_, true, false},
                MatmulEpilogue::kNone, cap) {
    ensure(!has_bias || column_sums_workspace_bytes(rows_, columns_) <= cap,
           "[linear_grad_weight] the bias gradient needs more than the workspace cap");
  }

  void run(const KernelArgs& args) override {
    const float* dz = args.in<float>(0);
    matmul_.run(dz, args.in<float>(1), nullptr, args.out<float>(0), args.accumulate, args.workspace,
                args.stream);
    if (has_bias_)  // cuBLASLt's bias gradient cannot accumulate
      column_sums(dz, args.out<float>(1), rows_, columns_, args.accumulate, args.workspace,
                  args.stream);
  }

 private:
  int64_t rows_, columns_;
  bool has_bias_;
  CublasMatmul matmul_;
};

}  // namespace

std::unique_ptr<Kernel> Linear::cuda_kernel(const NodeTypes& types,
                                            const KernelContext& context) const {
  return std::make_unique<LinearCuda>(options_.activation, types, *context.cuda,
                                      workspace_cap(types, DeviceKind::kCuda));
}

std::unique_ptr<Kernel> LinearGradInput::cuda_kernel(const NodeTypes& types,
                                                     const KernelContext& context) const {
  return std::make_unique<LinearGradInputCuda>(types, *context.cuda,
                                               workspace_cap(types, DeviceKind::kCuda));
}

std::unique_ptr<Kernel> LinearGradWeight::cuda_kernel(const NodeTypes& types,
                                                      const KernelContext& context) const {
  return std::make_unique<LinearGradWeightCuda>(has_bias_, types, *context.cuda,
                                                workspace_cap(types, DeviceKind::kCuda));
}

}  // namespace trireme::core

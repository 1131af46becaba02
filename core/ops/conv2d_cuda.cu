// Conv2d and its gradients: the convolution by cuDNN, or by kernels of ours for a shape that cuDNN
// refuses; bias, activation and the bias's gradient by kernels of ours.
#include "core/base/error.h"
#include "core/cuda/bias_activation.h"
#include "core/cuda/convolution.h"

namespace trireme::core {
namespace {

std::unique_ptr<Convolution> make_convolution(CudaContext& context, ConvolutionKind kind,
                                              const ConvolutionShape& shape, int64_t cap) {
  std::unique_ptr<Convolution> fast = make_cudnn_convolution(context, kind, shape, cap);
  return fast ? std::move(fast) : make_direct_convolution(kind, shape);
}

// y = f(x * W + b)
class Conv2dCuda : public Kernel {
 public:
  Conv2dCuda(const Conv2dOptions& options, const NodeTypes& types, CudaContext& cuda, int64_t cap)
      : rows_(types.outputs[0].shape.elements() / types.outputs[0].shape[-1]),
        columns_(types.outputs[0].shape[-1]),
        has_bias_(types.inputs.size() > 2 && types.inputs[2].present()),
        keeps_z_(types.outputs.size() > 1),
        activation_(options.activation),
        convolution_(make_convolution(
            cuda, ConvolutionKind::kForward,
            {types.inputs[0].shape, types.inputs[1].shape, types.outputs[0].shape, options}, cap)) {
  }

  void run(const KernelArgs& args) override {
    const float* bias = has_bias_ ? args.in<float>(2) : nullptr;
    float* y = args.out<float>(0);
    float* z = keeps_z_ ? args.out<float>(1) : y;
    convolution_->run(args.in<float>(0), args.in<float>(1), z, false, args.workspace, args.stream);
    if (bias || activation_ != ActivationKind::kNone || z != y)
      add_bias_activation(z, bias, y, rows_, columns_, activation_, args.stream);
  }

 private:
  int64_t rows_, columns_;  // of y as a matrix (N OH OW, O)
  bool has_bias_, keeps_z_;
  ActivationKind activation_;
  std::unique_ptr<Convolution> convolution_;
};

// dx from dz and W
class Conv2dGradInputCuda : public Kernel {
 public:
  explicit Conv2dGradInputCuda(std::unique_ptr<Convolution> convolution)
      : convolution_(std::move(convolution)) {}

  void run(const KernelArgs& args) override {
    convolution_->run(args.in<float>(0), args.in<float>(1), args.out<float>(0), args.accumulate,
                      args.workspace, args.stream);
  }

 private:
  std::unique_ptr<Convolution> convolution_;
};

// dW from dz and x, db = sum of dz over images and positions
class Conv2dGradWeightCuda : public Kernel {
 public:
  Conv2dGradWeightCuda(std::unique_ptr<Convolution> convolution, const Shape& dz, bool has_bias,
                       int64_t cap)
      : rows_(dz.elements() / dz[-1]),
        columns_(dz[-1]),
        has_bias_(has_bias),
        convolution_(std::move(convolution)) {
    ensure(!has_bias || column_sums_workspace_bytes(rows_, columns_) <= cap,
           "[conv2d_grad_weight] the bias gradient needs more than the workspace cap");
  }

  void run(const KernelArgs& args) override {
    const float* dz = args.in<float>(0);
    convolution_->run(dz, args.in<float>(1), args.out<float>(0), args.accumulate, args.workspace,
                      args.stream);
    if (has_bias_)
      column_sums(dz, args.out<float>(1), rows_, columns_, args.accumulate, args.workspace,
                  args.stream);
  }

 private:
  int64_t rows_, columns_;  // of dz as a matrix (N OH OW, O)
  bool has_bias_;
  std::unique_ptr<Convolution> convolution_;
};

}  // namespace

std::unique_ptr<Kernel> Conv2d::cuda_kernel(const NodeTypes& types,
                                            const KernelContext& context) const {
  return std::make_unique<Conv2dCuda>(options_, types, *context.cuda,
                                      workspace_cap(types, DeviceKind::kCuda));
}

std::unique_ptr<Kernel> Conv2dGradInput::cuda_kernel(const NodeTypes& types,
                                                     const KernelContext& context) const {
  return std::make_unique<Conv2dGradInputCuda>(
      make_convolution(*context.cuda, ConvolutionKind::kGradInput,
                       {x_, types.inputs[1].shape, types.inputs[0].shape, options_},
                       workspace_cap(types, DeviceKind::kCuda)));
}

std::unique_ptr<Kernel> Conv2dGradWeight::cuda_kernel(const NodeTypes& types,
                                                      const KernelContext& context) const {
  const int64_t cap = workspace_cap(types, DeviceKind::kCuda);
  const Shape& dz = types.inputs[0].shape;
  return std::make_unique<Conv2dGradWeightCuda>(
      make_convolution(*context.cuda, ConvolutionKind::kGradWeight,
                       {types.inputs[1].shape, weight_, dz, options_}, cap),
      dz, has_bias_, cap);
}

}  // namespace trireme::core

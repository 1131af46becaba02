// cuDNN's convolutions by its first API, which version 9 still implements on its own engines and
// calls deprecated, and not by its graph API: it is the one of the two whose gradients add to what
// is there (beta = 1) with every algorithm, and it needs no compiler at run time.

#include <array>
#include <limits>
#include <optional>

#include "core/base/error.h"
#include "core/cuda/check.h"
#include "core/cuda/convolution.h"
#include "core/cuda/cudnn_check.h"

namespace trireme::core {
namespace {

void destroy_tensor(cudnnTensorDescriptor_t tensor) noexcept {
  check_noexcept(cudnnDestroyTensorDescriptor(tensor));
}
void destroy_filter(cudnnFilterDescriptor_t filter) noexcept {
  check_noexcept(cudnnDestroyFilterDescriptor(filter));
}
void destroy_convolution(cudnnConvolutionDescriptor_t convolution) noexcept {
  check_noexcept(cudnnDestroyConvolutionDescriptor(convolution));
}
using TensorDesc = UniqueHandle<cudnnTensorDescriptor_t, destroy_tensor>;
using FilterDesc = UniqueHandle<cudnnFilterDescriptor_t, destroy_filter>;
using ConvolutionDesc = UniqueHandle<cudnnConvolutionDescriptor_t, destroy_convolution>;

// cuDNN counts in int.
int narrow(int64_t value) {
  if (value > std::numeric_limits<int>::max())
    fail("[conv2d] expects dimensions below 2^31, got {}", value);
  return static_cast<int>(value);
}

TensorDesc make_images(const Shape& shape) {
  cudnnTensorDescriptor_t handle = nullptr;
  check(cudnnCreateTensorDescriptor(&handle));
  TensorDesc images(handle);
  check(cudnnSetTensor4dDescriptor(handle, CUDNN_TENSOR_NHWC, CUDNN_DATA_FLOAT, narrow(shape[0]),
                                   narrow(shape[3]), narrow(shape[1]), narrow(shape[2])));
  return images;
}

FilterDesc make_filter(const Shape& shape) {
  cudnnFilterDescriptor_t handle = nullptr;
  check(cudnnCreateFilterDescriptor(&handle));
  FilterDesc filter(handle);
  check(cudnnSetFilter4dDescriptor(handle, CUDNN_DATA_FLOAT, CUDNN_TENSOR_NHWC, narrow(shape[0]),
                                   narrow(shape[3]), narrow(shape[1]), narrow(shape[2])));
  return filter;
}

ConvolutionDesc make_convolution(const Conv2dOptions& options) {
  cudnnConvolutionDescriptor_t handle = nullptr;
  check(cudnnCreateConvolutionDescriptor(&handle));
  ConvolutionDesc convolution(handle);
  check(cudnnSetConvolution2dDescriptor(handle, narrow(options.pad_h), narrow(options.pad_w),
                                        narrow(options.stride_h), narrow(options.stride_w),
                                        narrow(options.dilation_h), narrow(options.dilation_w),
                                        CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT));
  check(cudnnSetConvolutionGroupCount(handle, narrow(options.groups)));
  check(cudnnSetConvolutionMathType(handle, CUDNN_FMA_MATH));
  return convolution;
}

struct Problem {
  Problem(CudaContext& context, const ConvolutionShape& shape)
      : handle(context.cudnn()),
        x(make_images(shape.x)),
        y(make_images(shape.y)),
        weight(make_filter(shape.weight)),
        convolution(make_convolution(shape.options)) {}

  cudnnHandle_t handle;  // of the context
  TensorDesc x, y;
  FilterDesc weight;
  ConvolutionDesc convolution;
};

// The three directions differ in their functions' names and the order of arguments alone.
struct Forward {
  using Perf = cudnnConvolutionFwdAlgoPerf_t;
  static cudnnStatus_t rank(const Problem& p, int asked, int* found, Perf* perfs) {
    return cudnnGetConvolutionForwardAlgorithm_v7(
        p.handle, p.x.get(), p.weight.get(), p.convolution.get(), p.y.get(), asked, found, perfs);
  }
  static cudnnStatus_t workspace(const Problem& p, const Perf& perf, size_t* bytes) {
    return cudnnGetConvolutionForwardWorkspaceSize(
        p.handle, p.x.get(), p.weight.get(), p.convolution.get(), p.y.get(), perf.algo, bytes);
  }
  static cudnnStatus_t run(const Problem& p, const Perf& perf, const float* x, const float* weight,
                           float beta, float* y, void* workspace, size_t bytes) {
    const float alpha = 1;
    return cudnnConvolutionForward(p.handle, &alpha, p.x.get(), x, p.weight.get(), weight,
                                   p.convolution.get(), perf.algo, workspace, bytes, &beta,
                                   p.y.get(), y);
  }
};

struct GradInput {
  using Perf = cudnnConvolutionBwdDataAlgoPerf_t;
  static cudnnStatus_t rank(const Problem& p, int asked, int* found, Perf* perfs) {
    return cudnnGetConvolutionBackwardDataAlgorithm_v7(
        p.handle, p.weight.get(), p.y.get(), p.convolution.get(), p.x.get(), asked, found, perfs);
  }
  static cudnnStatus_t workspace(const Problem& p, const Perf& perf, size_t* bytes) {
    return cudnnGetConvolutionBackwardDataWorkspaceSize(
        p.handle, p.weight.get(), p.y.get(), p.convolution.get(), p.x.get(), perf.algo, bytes);
  }
  static cudnnStatus_t run(const Problem& p, const Perf& perf, const float* dz, const float* weight,
                           float beta, float* dx, void* workspace, size_t bytes) {
    const float alpha = 1;
    return cudnnConvolutionBackwardData(p.handle, &alpha, p.weight.get(), weight, p.y.get(), dz,
                                        p.convolution.get(), perf.algo, workspace, bytes, &beta,
                                        p.x.get(), dx);
  }
};

struct GradWeight {
  using Perf = cudnnConvolutionBwdFilterAlgoPerf_t;
  static cudnnStatus_t rank(const Problem& p, int asked, int* found, Perf* perfs) {
    return cudnnGetConvolutionBackwardFilterAlgorithm_v7(
        p.handle, p.x.get(), p.y.get(), p.convolution.get(), p.weight.get(), asked, found, perfs);
  }
  static cudnnStatus_t workspace(const Problem& p, const Perf& perf, size_t* bytes) {
    return cudnnGetConvolutionBackwardFilterWorkspaceSize(
        p.handle, p.x.get(), p.y.get(), p.convolution.get(), p.weight.get(), perf.algo, bytes);
  }
  static cudnnStatus_t run(const Problem& p, const Perf& perf, const float* dz, const float* x,
                           float beta, float* dweight, void* workspace, size_t bytes) {
    const float alpha = 1;
    return cudnnConvolutionBackwardFilter(p.handle, &alpha, p.x.get(), x, p.y.get(), dz,
                                          p.convolution.get(), perf.algo, workspace, bytes, &beta,
                                          p.weight.get(), dweight);
  }
};

template <typename Direction>
class Planned : public Convolution {
 public:
  using Perf = typename Direction::Perf;

  // Null if no algorithm will do.
  static std::unique_ptr<Convolution> make(CudaContext& context, const ConvolutionShape& shape,
                                           int64_t cap) {
    Problem problem(context, shape);
    const std::optional<Perf> algorithm = choose(problem, cap);
    if (!algorithm) return nullptr;
    return std::unique_ptr<Convolution>(
        new Planned(std::move(problem), *algorithm, static_cast<size_t>(cap)));
  }

  void run(const float* a, const float* b, float* out, bool accumulate, void* workspace,
           Stream stream) override {
    check(cudnnSetStream(problem_.handle, cuda(stream)));
    check(Direction::run(problem_, algorithm_, a, b, accumulate ? 1.0f : 0.0f, out, workspace,
                         workspace_bytes_));
  }

 private:
  Planned(Problem problem, const Perf& algorithm, size_t workspace_bytes)
      : problem_(std::move(problem)), algorithm_(algorithm), workspace_bytes_(workspace_bytes) {}

  // The fastest by cuDNN's heuristic among those that repeat their bits and fit.
  static std::optional<Perf> choose(const Problem& problem, int64_t cap) {
    std::array<Perf, 16> perfs{};
    int found = 0;
    const cudnnStatus_t status =
        Direction::rank(problem, static_cast<int>(perfs.size()), &found, perfs.data());
    if (status == CUDNN_STATUS_NOT_SUPPORTED) return std::nullopt;
    check(status);
    for (int i = 0; i < found; ++i)
      if (admits(problem, perfs[i], cap)) return perfs[i];
    return std::nullopt;
  }

  // The size is asked for once more, with FMA math set: only that says whether the algorithm works
  // for this very problem.
  static bool admits(const Problem& problem, const Perf& perf, int64_t cap) {
    if (perf.status != CUDNN_STATUS_SUCCESS || perf.determinism != CUDNN_DETERMINISTIC)
      return false;
    size_t bytes = 0;
    return Direction::workspace(problem, perf, &bytes) == CUDNN_STATUS_SUCCESS &&
           bytes <= static_cast<size_t>(cap);
  }

  Problem problem_;
  Perf algorithm_;
  size_t workspace_bytes_;
};

}  // namespace

std::unique_ptr<Convolution> make_cudnn_convolution(CudaContext& context, ConvolutionKind kind,
                                                    const ConvolutionShape& shape,
                                                    int64_t workspace_cap) {
  switch (kind) {
    case ConvolutionKind::kForward:
      return Planned<Forward>::make(context, shape, workspace_cap);
    case ConvolutionKind::kGradInput:
      return Planned<GradInput>::make(context, shape, workspace_cap);
    case ConvolutionKind::kGradWeight:
      return Planned<GradWeight>::make(context, shape, workspace_cap);
  }
  return nullptr;
}

}  // namespace trireme::core

// One fp32 convolution, or one of its gradients, planned once and run many times, on cuDNN.
//
// NHWC images and OHWI filters (cuDNN's KRSC) in strict fp32 (CUDNN_FMA_MATH, never TF32), with
// deterministic algorithms alone.
//
// This is cuDNN's first API, which version 9 still implements on its own engines and calls
// deprecated, and not its graph API: it is the one of the two whose gradients add to what is there
// (beta = 1) with every algorithm, and it needs no compiler at run time.
#pragma once

#include <cstdint>
#include <memory>

#include "core/base/shape.h"
#include "core/cuda/context.h"
#include "core/ops/conv2d.h"
#include "core/runtime/stream.h"

namespace trireme::core {

struct ConvolutionShape {
  Shape x, weight, y;  // (N, H, W, C), (O, KH, KW, C / groups), (N, OH, OW, O)
  Conv2dOptions options;
};

enum class ConvolutionKind : uint8_t { kForward, kGradInput, kGradWeight };

class CudnnConvolution {
 public:
  virtual ~CudnnConvolution() = default;

  // out = [out +] op(a, b).   forward: (x, W) -> y;   input's gradient: (dz, W) -> dx;
  // weight's gradient: (dz, x) -> dW. Packed, 16-byte aligned. `workspace` has the bytes of
  // make_cudnn_convolution's cap, 256-byte aligned. Allocates nothing.
  virtual void run(const float* a, const float* b, float* out, bool accumulate, void* workspace,
                   Stream stream) = 0;
};

// Null if cuDNN has no deterministic fp32 algorithm for this shape within `workspace_cap` bytes.
std::unique_ptr<CudnnConvolution> make_cudnn_convolution(CudaContext& context, ConvolutionKind kind,
                                                         const ConvolutionShape& shape,
                                                         int64_t workspace_cap);

}  // namespace trireme::core

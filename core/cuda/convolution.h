// One fp32 convolution, or one of its gradients, planned once and run many times.
//
// NHWC images and OHWI filters, strict fp32, the same bits on every run. Two sources of it: cuDNN,
// and kernels of ours that know every shape and no haste.
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

class Convolution {
 public:
  virtual ~Convolution() = default;

  // out = [out +] op(a, b).   kForward: (x, W) -> y;   kGradInput: (dz, W) -> dx;   kGradWeight:
  // (dz, x) -> dW. Packed, 16-byte aligned. `workspace` is what the maker was promised, 256-byte
  // aligned. Allocates nothing; ready in stream order.
  virtual void run(const float* a, const float* b, float* out, bool accumulate, void* workspace,
                   Stream stream) = 0;
};

// cuDNN's; null if it has no deterministic fp32 algorithm for this shape within `workspace_cap`
// bytes.
std::unique_ptr<Convolution> make_cudnn_convolution(CudaContext& context, ConvolutionKind kind,
                                                    const ConvolutionShape& shape,
                                                    int64_t workspace_cap);

// Ours: one thread (one block, for the weight's gradient) an element of the output. Any shape, no
// workspace.
std::unique_ptr<Convolution> make_direct_convolution(ConvolutionKind kind,
                                                     const ConvolutionShape& shape);

}  // namespace trireme::core

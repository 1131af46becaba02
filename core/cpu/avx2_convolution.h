// Convolutions of few channels on CPUs with AVX2 and no AVX-512.
//
// A library unfolds windows of one or three channels into a matrix; here they are read where they
// lie: in NHWC a row of a window is contiguous, so the window is kh runs of kw x c elements, and
// neighbouring windows are a fixed step apart. 2 to 4 times as fast as oneDNN at LeNet-5's shapes
// (bench/op_bench.cc).
#pragma once

#include <cstdint>

#include "core/cpu/convolution_spec.h"

namespace trireme::core {

// Whether the two below may be used here, and are the better choice: fewer than 8 channels in one
// group, no dilation along w.
bool suits_avx2_convolution(const ConvolutionSpec& spec);

// Bytes of workspace that they need.
int64_t avx2_convolution_workspace(const ConvolutionSpec& spec, int threads);
int64_t avx2_convolution_grad_weight_workspace(const ConvolutionSpec& spec, int threads);

// y = f(x * weight + bias); bias may be null; f is relu or nothing.
//
// `workspace` is aligned to 64 bytes. Nothing is allocated.
void avx2_convolution(const ConvolutionSpec& spec, const float* x, const float* weight,
                      const float* bias, float* y, void* workspace, int threads);

// dw = sum over windows of dz times the window, or dw += where `accumulate`. The sum runs over
// the windows of an image, then over a thread's images, then over the threads, each in order.
void avx2_convolution_grad_weight(const ConvolutionSpec& spec, const float* dz, const float* x,
                                  bool accumulate, float* dw, void* workspace, int threads);

}  // namespace trireme::core

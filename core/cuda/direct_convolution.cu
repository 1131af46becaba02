// Convolutions by their definition, for shapes that cuDNN refuses. Sums run in a fixed order.
#include "core/cuda/launch.h"
// launch.h comes first: it says what language this file is in.
#include "core/cuda/convolution.h"

namespace trireme::core {
namespace {

constexpr int kThreads = 256;

// Extents of ConvolutionShape, for the device.
struct Geometry {
  int64_t n, h, w, c;  // of x
  int64_t oh, ow, o;   // of y
  int64_t kh, kw, cg;  // of W; cg is C / groups
  int64_t og;          // O / groups
  int64_t stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w;
};

Geometry geometry_of(const ConvolutionShape& s) {
  return {s.x[0],
          s.x[1],
          s.x[2],
          s.x[3],
          s.y[1],
          s.y[2],
          s.y[3],
          s.weight[1],
          s.weight[2],
          s.weight[3],
          s.y[3] / s.options.groups,
          s.options.stride_h,
          s.options.stride_w,
          s.options.pad_h,
          s.options.pad_w,
          s.options.dilation_h,
          s.options.dilation_w};
}

__device__ void store(float* out, float sum, int accumulate) {
  *out = accumulate ? *out + sum : sum;
}

// y[n, oh, ow, o] = sum over kh, kw, c of x[n, h, w, c] W[o, kh, kw, c]; a thread per element of y
__global__ void forward_kernel(Geometry g, const float* x, const float* weight, float* y,
                               int accumulate) {
  const int64_t index = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (index >= g.n * g.oh * g.ow * g.o) return;
  const int64_t o = index % g.o, ow = index / g.o % g.ow, oh = index / g.o / g.ow % g.oh;
  const int64_t n = index / g.o / g.ow / g.oh, first_channel = o / g.og * g.cg;
  float sum = 0;
  for (int64_t kh = 0; kh < g.kh; ++kh) {
    const int64_t h = oh * g.stride_h - g.pad_h + kh * g.dilation_h;
    if (h < 0 || h >= g.h) continue;
    for (int64_t kw = 0; kw < g.kw; ++kw) {
      const int64_t w = ow * g.stride_w - g.pad_w + kw * g.dilation_w;
      if (w < 0 || w >= g.w) continue;
      const float* pixel = x + ((n * g.h + h) * g.w + w) * g.c + first_channel;
      const float* tap = weight + ((o * g.kh + kh) * g.kw + kw) * g.cg;
      for (int64_t c = 0; c < g.cg; ++c) sum += pixel[c] * tap[c];
    }
  }
  store(y + index, sum, accumulate);
}

// The output position that tap k of the window puts on input position i, or -1.
__device__ int64_t output_of(int64_t i, int64_t k, int64_t stride, int64_t pad, int64_t dilation,
                             int64_t extent) {
  const int64_t place = i + pad - k * dilation;
  if (place < 0 || place % stride != 0 || place / stride >= extent) return -1;
  return place / stride;
}

// dx[n, h, w, c] = sum over kh, kw, o of dz[n, oh, ow, o] W[o, kh, kw, c]; a thread per element
__global__ void grad_input_kernel(Geometry g, const float* dz, const float* weight, float* dx,
                                  int accumulate) {
  const int64_t index = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (index >= g.n * g.h * g.w * g.c) return;
  const int64_t c = index % g.c, w = index / g.c % g.w, h = index / g.c / g.w % g.h;
  const int64_t n = index / g.c / g.w / g.h, first_output = c / g.cg * g.og;
  float sum = 0;
  for (int64_t kh = 0; kh < g.kh; ++kh) {
    const int64_t oh = output_of(h, kh, g.stride_h, g.pad_h, g.dilation_h, g.oh);
    if (oh < 0) continue;
    for (int64_t kw = 0; kw < g.kw; ++kw) {
      const int64_t ow = output_of(w, kw, g.stride_w, g.pad_w, g.dilation_w, g.ow);
      if (ow < 0) continue;
      const float* pixel = dz + ((n * g.oh + oh) * g.ow + ow) * g.o;
      for (int64_t o = first_output; o < first_output + g.og; ++o)
        sum += pixel[o] * weight[((o * g.kh + kh) * g.kw + kw) * g.cg + c % g.cg];
    }
  }
  store(dx + index, sum, accumulate);
}

// dW[o, kh, kw, c] = sum over n, oh, ow of dz[n, oh, ow, o] x[n, h, w, c]; a block per element of
// dW. Thread t sums every kThreads-th position, then the partial sums are added in a fixed tree.
__global__ void grad_weight_kernel(Geometry g, const float* dz, const float* x, float* dweight,
                                   int accumulate) {
  TRIREME_SHARED(float, partial, kThreads);
  const int64_t index = blockIdx.x;
  const int thread = static_cast<int>(threadIdx.x);
  const int64_t c = index % g.cg, kw = index / g.cg % g.kw, kh = index / g.cg / g.kw % g.kh;
  const int64_t o = index / g.cg / g.kw / g.kh, channel = o / g.og * g.cg + c;
  float sum = 0;
  for (int64_t position = thread; position < g.n * g.oh * g.ow; position += kThreads) {
    const int64_t ow = position % g.ow, oh = position / g.ow % g.oh, n = position / g.ow / g.oh;
    const int64_t h = oh * g.stride_h - g.pad_h + kh * g.dilation_h;
    const int64_t w = ow * g.stride_w - g.pad_w + kw * g.dilation_w;
    if (h < 0 || h >= g.h || w < 0 || w >= g.w) continue;
    sum += dz[position * g.o + o] * x[((n * g.h + h) * g.w + w) * g.c + channel];
  }
  partial[thread] = sum;
  for (int half = kThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (thread < half) partial[thread] += partial[thread + half];
  }
  if (thread == 0) store(dweight + index, partial[0], accumulate);
}

class DirectConvolution : public Convolution {
 public:
  DirectConvolution(ConvolutionKind kind, const ConvolutionShape& shape)
      : kind_(kind), shape_(shape), geometry_(geometry_of(shape)) {}

  void run(const float* a, const float* b, float* out, bool accumulate, void*,
           Stream stream) override {
    const int add = accumulate ? 1 : 0;
    switch (kind_) {
      case ConvolutionKind::kForward:
        launch(forward_kernel, blocks_over(shape_.y), kThreads, stream, geometry_, a, b, out, add);
        return;
      case ConvolutionKind::kGradInput:
        launch(grad_input_kernel, blocks_over(shape_.x), kThreads, stream, geometry_, a, b, out,
               add);
        return;
      case ConvolutionKind::kGradWeight:
        launch(grad_weight_kernel, dim3(static_cast<unsigned>(shape_.weight.elements())), kThreads,
               stream, geometry_, a, b, out, add);
        return;
    }
  }

 private:
  static dim3 blocks_over(const Shape& shape) {
    return dim3(static_cast<unsigned>((shape.elements() + kThreads - 1) / kThreads));
  }

  ConvolutionKind kind_;
  ConvolutionShape shape_;
  Geometry geometry_;
};

}  // namespace

std::unique_ptr<Convolution> make_direct_convolution(ConvolutionKind kind,
                                                     const ConvolutionShape& shape) {
  return std::make_unique<DirectConvolution>(kind, shape);
}

}  // namespace trireme::core

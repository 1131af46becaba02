#include "core/cuda/elementwise.cuh"
#include "core/cuda/function_kernel.h"
#include "core/cuda/partial_sums.h"
#include "core/cuda/reduce.cuh"
#include "core/ops/expect.h"
#include "core/ops/mean_squared_error.h"

namespace trireme::core {
namespace {

constexpr int kThreads = 256;

struct Samples {
  const float* x;       // (samples, width)
  const float* target;  // (samples, width)
  const float* weight;  // one for each weight_span elements, or null
  int64_t samples, width, weight_span;

  __device__ float weight_of(int64_t element) const {
    return weight == nullptr ? 1.0f : weight[element / weight_span];
  }
};

__device__ double squared(float a, float b) {
  const double d = static_cast<double>(a) - static_cast<double>(b);
  return d * d;
}

// One (loss, weight) pair a block. The first 4 * vectors elements are read by fours; a four never
// spans two samples of different weight, as vectors is 0 where it might.
__global__ void __launch_bounds__(kThreads) forward(Samples in, int64_t vectors, double* pairs) {
  const int64_t first = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  double loss = 0, weight = 0;
  for (int64_t v = first; v < vectors; v += stride) {
    const float4 a = load4(in.x, v), b = load4(in.target, v);
    loss += static_cast<double>(in.weight_of(4 * v)) *
            (squared(a.x, b.x) + squared(a.y, b.y) + squared(a.z, b.z) + squared(a.w, b.w));
  }
  for (int64_t i = 4 * vectors + first; i < in.samples * in.width; i += stride)
    if (const float w = in.weight_of(i); w != 0)
      loss += static_cast<double>(w) * squared(in.x[i], in.target[i]);
  for (int64_t b = first; b < in.samples; b += stride)
    weight += static_cast<double>(in.weight_of(b * in.width));
  loss = block_reduce<kThreads>(loss, 0.0, Plus{});
  weight = block_reduce<kThreads>(weight, 0.0, Plus{});
  if (threadIdx.x != 0) return;
  pairs[2 * blockIdx.x] = loss / static_cast<double>(in.width);
  pairs[2 * blockIdx.x + 1] = weight;
}

__global__ void __launch_bounds__(kThreads) backward(Samples in, float scale, float* dx) {
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < in.samples * in.width;
       i += stride) {
    const float w = in.weight_of(i);
    dx[i] = w == 0 ? 0.0f : scale * w * (in.x[i] - in.target[i]);
  }
}

// Without weights the gradient is elementwise.
struct ScaledDifference {
  float scale;
  __device__ float operator()(float x, float target) const { return scale * (x - target); }
};

Samples samples_of(const NodeTypes& types) {
  const Shape& x = types.inputs[0].shape;
  const ValueType weight = operand(types.inputs, 2);
  return {.x = nullptr,
          .target = nullptr,
          .weight = nullptr,
          .samples = x[0],
          .width = x.elements_per_row(),
          .weight_span = weight.present() ? x.elements() / weight.elements() : 1};
}

Samples bind(Samples samples, const KernelArgs& args, bool weighted) {
  samples.x = args.in<float>(0);
  samples.target = args.in<float>(1);
  samples.weight = weighted ? args.in<float>(2) : nullptr;
  return samples;
}

}  // namespace

std::unique_ptr<Kernel> MeanSquaredError::cuda_kernel(const NodeTypes& types,
                                                      const KernelContext&) const {
  return make_function_kernel(
      [samples = samples_of(types), weighted = types.inputs.size() > 2](const KernelArgs& args) {
        const Samples in = bind(samples, args, weighted);
        const int64_t n = in.samples * in.width;
        const bool by_fours =
            all_aligned16(in.x, in.target) && (in.weight == nullptr || in.weight_span % 4 == 0);
        const dim3 grid = blocks_for(n, 4 * kThreads, kPartialSumBlocks);
        double* pairs = static_cast<double*>(args.workspace);
        launch(forward, grid, dim3(kThreads), args.stream, in, by_fours ? n / 4 : 0, pairs);
        add_partial_sums(pairs, static_cast<int>(grid.x), args.out<double>(0), args.accumulate,
                         args.stream);
      });
}

std::unique_ptr<Kernel> MeanSquaredErrorGrad::cuda_kernel(const NodeTypes& types,
                                                          const KernelContext&) const {
  return make_function_kernel([samples = samples_of(types), weighted = types.inputs.size() > 2,
                               seed = seed_](const KernelArgs& args) {
    const Samples in = bind(samples, args, weighted);
    const float scale = 2.0f * seed / static_cast<float>(in.width);
    const int64_t n = in.samples * in.width;
    float* dx = args.out<float>(0);
    if (in.weight == nullptr)
      elementwise(ScaledDifference{scale}, dx, n, args.stream, in.x, in.target);
    else
      launch(backward, blocks_for(n, kThreads), dim3(kThreads), args.stream, in, scale, dx);
  });
}

}  // namespace trireme::core

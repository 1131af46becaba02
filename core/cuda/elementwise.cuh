// y[i] = f(x[i]...) over flat f32 arrays: the loop of every elementwise kernel.
#pragma once

#include "core/cuda/vector4.cuh"

namespace trireme::core {

// The first `vectors` groups of four by 16-byte accesses, the rest one by one. y may be one of x.
template <typename F, typename... X>
__global__ void __launch_bounds__(256)
    elementwise_kernel(F f, float* y, int64_t n, int64_t vectors, X... x) {
  const int64_t first = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t v = first; v < vectors; v += stride) store4(y, v, map4(f, load4(x, v)...));
  for (int64_t i = 4 * vectors + first; i < n; i += stride) y[i] = f(x[i]...);
}

template <typename F, typename... X>
void elementwise(F f, float* y, int64_t n, Stream stream, const X*... x) {
  const int64_t vectors = all_aligned16(y, x...) ? n / 4 : 0;
  const int64_t items = std::max(vectors, n - 4 * vectors);
  launch(elementwise_kernel<F, const X*...>, blocks_for(items, 256), dim3(256), stream, f, y, n,
         vectors, x...);
}

}  // namespace trireme::core

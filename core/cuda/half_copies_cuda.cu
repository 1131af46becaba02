#include "core/cuda/half_copies.h"
#include "core/cuda/vector4.cuh"
#include "core/kernels/half.h"

namespace trireme::core {
namespace {

struct alignas(8) Halves4 {
  uint16_t x, y, z, w;
};

__device__ uint16_t half_of(bool f16, float x) { return f16 ? f16_of(x) : bf16_of(x); }

__global__ void __launch_bounds__(256) write_halves(bool f16, const float* x, const float* scale,
                                                    uint16_t* y, int64_t n, int64_t vectors) {
  const int64_t first = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  const float factor = scale == nullptr ? 1.0f : *scale;
  for (int64_t v = first; v < vectors; v += stride) {
    const float4 four = load4(x, v);
    reinterpret_cast<Halves4*>(y)[v] = {
        half_of(f16, factor * four.x), half_of(f16, factor * four.y), half_of(f16, factor * four.z),
        half_of(f16, factor * four.w)};
  }
  for (int64_t i = 4 * vectors + first; i < n; i += stride) y[i] = half_of(f16, factor * x[i]);
}

}  // namespace

void write_half(DType dtype, const float* x, const float* scale, void* y, int64_t count,
                Stream stream) {
  const bool aligned = all_aligned16(x) && reinterpret_cast<uintptr_t>(y) % sizeof(Halves4) == 0;
  const int64_t vectors = aligned ? count / 4 : 0;
  const int64_t items = std::max(vectors, count - 4 * vectors);
  launch(write_halves, blocks_for(items, 256), dim3(256), stream, dtype == DType::kF16, x, scale,
         static_cast<uint16_t*>(y), count, vectors);
}

}  // namespace trireme::core

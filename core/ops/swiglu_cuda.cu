#include "core/cuda/function_kernel.h"
#include "core/cuda/matrix_tile.cuh"
#include "core/cuda/vector4.cuh"
#include "core/kernels/swiglu.h"
#include "core/ops/swiglu.h"

namespace trireme::core {
namespace {

struct Forward {
  __device__ float operator()(float gate, float up) const { return swiglu(gate, up); }
};
struct GateGradient {
  __device__ float operator()(float dy, float gate, float up) const {
    return swiglu_gradient(dy, gate, up).gate;
  }
};
struct UpGradient {
  __device__ float operator()(float dy, float gate, float up) const {
    return swiglu_gradient(dy, gate, up).up;
  }
};

// A row's halves begin at vectors 2 row half and 2 row half + half; `half` counts vectors of
// kWidth floats.
template <int kWidth>
__global__ void __launch_bounds__(256)
    forward(const float* x, float* y, int64_t rows, int64_t half) {
  for_each_of_matrix(rows, half, [&](int64_t row, int64_t i) {
    const int64_t gate = 2 * row * half + i, up = gate + half, at = row * half + i;
    if constexpr (kWidth == 4)
      store4(y, at, map4(Forward{}, load4(x, gate), load4(x, up)));
    else
      y[at] = swiglu(x[gate], x[up]);
  });
}

// The compiler finds that both gradients share a sigmoid. dx may be x.
template <int kWidth>
__global__ void __launch_bounds__(256)
    backward(const float* dy, const float* x, float* dx, int64_t rows, int64_t half) {
  for_each_of_matrix(rows, half, [&](int64_t row, int64_t i) {
    const int64_t gate = 2 * row * half + i, up = gate + half, at = row * half + i;
    if constexpr (kWidth == 4) {
      const float4 d = load4(dy, at), g = load4(x, gate), u = load4(x, up);
      store4(dx, gate, map4(GateGradient{}, d, g, u));
      store4(dx, up, map4(UpGradient{}, d, g, u));
    } else {
      const SwiGluGradient gradient = swiglu_gradient(dy[at], x[gate], x[up]);
      dx[gate] = gradient.gate;
      dx[up] = gradient.up;
    }
  });
}

int64_t rows_of(const ValueType& halves) { return halves.elements() / halves.shape[-1]; }

}  // namespace

std::unique_ptr<Kernel> SwiGlu::cuda_kernel(const NodeTypes& types, const KernelContext&) const {
  return make_function_kernel([rows = rows_of(types.outputs[0]),
                               half = types.outputs[0].shape[-1]](const KernelArgs& args) {
    const float* x = args.in<float>(0);
    float* y = args.out<float>(0);
    const bool fours = half % 4 == 0 && all_aligned16(x, y);
    const int64_t vectors = fours ? half / 4 : half;
    const MatrixTile tile = tile_over(rows, vectors);
    launch(fours ? forward<4> : forward<1>, tile.grid, tile.block, args.stream, x, y, rows,
           vectors);
  });
}

std::unique_ptr<Kernel> SwiGluGrad::cuda_kernel(const NodeTypes& types,
                                                const KernelContext&) const {
  return make_function_kernel(
      [rows = rows_of(types.inputs[0]), half = types.inputs[0].shape[-1]](const KernelArgs& args) {
        const float *dy = args.in<float>(0), *x = args.in<float>(1);
        float* dx = args.out<float>(0);
        const bool fours = half % 4 == 0 && all_aligned16(dy, x, dx);
        const int64_t vectors = fours ? half / 4 : half;
        const MatrixTile tile = tile_over(rows, vectors);
        launch(fours ? backward<4> : backward<1>, tile.grid, tile.block, args.stream, dy, x, dx,
               rows, vectors);
      });
}

}  // namespace trireme::core

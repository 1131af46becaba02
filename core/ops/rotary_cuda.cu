#include "core/cuda/device_array.h"
#include "core/cuda/matrix_tile.cuh"
#include "core/kernels/rotary.h"
#include "core/ops/rotary.h"

namespace trireme::core {
namespace {

struct Rows {
  const float* x;
  const int32_t* positions;  // (samples), or null
  float* y;                  // may be x
  const float* frequencies;  // (half)
  int64_t rows, length, half, heads, total_heads;
  float sign;
};

constexpr int kHeadsAtOnce =
    4;  // loaded before any is stored, which x == y keeps the compiler from

// Pairs x[0], x[half] of `heads` heads of 2 `half` elements, turned by `turn`.
__device__ void turn_heads(const float* x, float* y, int64_t heads, int64_t half, SinCos turn) {
  TRIREME_NO_UNROLL
  for (int64_t head = 0; head < heads; head += kHeadsAtOnce) {
    float low[kHeadsAtOnce], high[kHeadsAtOnce];
    for (int k = 0; k < kHeadsAtOnce; ++k) {
      if (head + k >= heads) continue;
      low[k] = x[(head + k) * 2 * half];
      high[k] = x[(head + k) * 2 * half + half];
    }
    for (int k = 0; k < kHeadsAtOnce; ++k) {
      if (head + k >= heads) continue;
      y[(head + k) * 2 * half] = low[k] * turn.cos - high[k] * turn.sin;
      y[(head + k) * 2 * half + half] = high[k] * turn.cos + low[k] * turn.sin;
    }
  }
}

// A thread turns one pair of every head of a position: neighbours read neighbours.
__global__ void __launch_bounds__(256) rotate(Rows in) {
  for_each_of_matrix(in.rows, in.half, [&](int64_t row, int64_t i) {
    const int64_t start = in.positions == nullptr ? 0 : in.positions[row / in.length];
    const SinCos turn = rotary_turn(start + row % in.length, in.frequencies[i], in.sign);
    const int64_t first = row * in.total_heads * 2 * in.half + i;
    turn_heads(in.x + first, in.y + first, in.heads, in.half, turn);
    if (in.x == in.y) return;
    TRIREME_NO_UNROLL
    for (int64_t k = 2 * in.heads; k < 2 * in.total_heads; ++k)
      in.y[first + k * in.half] = in.x[first + k * in.half];
  });
}

class RotaryCuda : public Kernel {
 public:
  RotaryCuda(const NodeTypes& types, const RotaryOptions& options, float sign)
      : has_positions_(types.inputs.size() > 1 && types.inputs[1].present()),
        frequencies_(std::span<const float>(rotary_frequencies(options.head_dim, options.theta))),
        in_{.x = nullptr,
            .positions = nullptr,
            .y = nullptr,
            .frequencies = frequencies_.data(),
            .rows = types.inputs[0].shape[0] * types.inputs[0].shape[1],
            .length = types.inputs[0].shape[1],
            .half = options.head_dim / 2,
            .heads = options.heads,
            .total_heads = options.total_heads,
            .sign = sign} {}

  void run(const KernelArgs& args) override {
    Rows in = in_;
    in.x = args.in<float>(0);
    in.positions = has_positions_ ? args.in<int32_t>(1) : nullptr;
    in.y = args.out<float>(0);
    const MatrixTile tile = tile_over(in.rows, in.half);
    launch(rotate, tile.grid, tile.block, args.stream, in);
  }

 private:
  bool has_positions_;
  DeviceArray<float> frequencies_;
  Rows in_;
};

}  // namespace

std::unique_ptr<Kernel> Rotary::cuda_kernel(const NodeTypes& types, const KernelContext&) const {
  return std::make_unique<RotaryCuda>(types, options_, inverse_ ? -1.0f : 1.0f);
}

}  // namespace trireme::core

#include "core/cuda/bias_activation.h"
#include "core/cuda/matrix_tile.cuh"
#include "core/cuda/vector4.cuh"
#include "core/kernels/activation.h"

namespace trireme::core {
namespace {

// z += b, y = f(z); column counts fours where kWidth is 4. z is kept unless y is z.
template <typename F>
__global__ void __launch_bounds__(256)
    bias_activation_fours(F f, float* z, const float* bias, float* y, int64_t rows, int64_t fours) {
  for_each_of_matrix(rows, fours, [&](int64_t row, int64_t column) {
    const int64_t i = row * fours + column;
    float4 v = load4(z, i);
    if (bias != nullptr) {
      const float4 b = load4(bias, column);
      v = make_float4(v.x + b.x, v.y + b.y, v.z + b.z, v.w + b.w);
      if (y != z) store4(z, i, v);
    }
    store4(y, i, map4(f, v));
  });
}

template <typename F>
__global__ void __launch_bounds__(256)
    bias_activation_ones(F f, float* z, const float* bias, float* y, int64_t rows,
                         int64_t columns) {
  for_each_of_matrix(rows, columns, [&](int64_t row, int64_t column) {
    const int64_t i = row * columns + column;
    float v = z[i];
    if (bias != nullptr) {
      v += bias[column];
      if (y != z) z[i] = v;
    }
    y[i] = f(v);
  });
}

constexpr int kSumColumns = 32, kSumRows = 8;  // threads of a block

// How many pieces the rows are cut into, each summed by its own blocks.
int64_t parts_of(int64_t rows) { return std::clamp<int64_t>(rows / 128, 1, 128); }

// sums[part, c] (+)= the sum of dz's rows part * rows / parts up to the next part's.
__global__ void __launch_bounds__(kSumColumns* kSumRows)
    sum_rows(const float* dz, float* sums, int64_t rows, int64_t columns, bool accumulate) {
  TRIREME_SHARED(float, of_thread, kSumColumns* kSumRows);
  const int64_t column = int64_t{blockIdx.x} * kSumColumns + threadIdx.x;
  const int64_t parts = gridDim.y, part = blockIdx.y;
  const int64_t begin = rows * part / parts, end = rows * (part + 1) / parts;
  float sum = 0;
  if (column < columns)
    for (int64_t row = begin + threadIdx.y; row < end; row += kSumRows)
      sum += dz[row * columns + column];
  of_thread[threadIdx.y * kSumColumns + threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y != 0 || column >= columns) return;
  for (int i = 1; i < kSumRows; ++i) sum += of_thread[i * kSumColumns + threadIdx.x];
  float* out = sums + part * columns + column;
  *out = accumulate ? *out + sum : sum;
}

}  // namespace

void add_bias_activation(float* z, const float* bias, float* y, int64_t rows, int64_t columns,
                         ActivationKind kind, Stream stream) {
  if (bias == nullptr && kind == ActivationKind::kNone && y == z) return;
  // A null bias is aligned, too.
  const bool by_fours = columns % 4 == 0 && all_aligned16(z, bias, y);
  with_activation(kind, [&](auto f) {
    using F = decltype(f);
    const int64_t width = by_fours ? columns / 4 : columns;
    const MatrixTile tile = tile_over(rows, width);
    launch(by_fours ? bias_activation_fours<F> : bias_activation_ones<F>, tile.grid, tile.block,
           stream, f, z, bias, y, rows, width);
  });
}

int64_t column_sums_workspace_bytes(int64_t rows, int64_t columns) {
  const int64_t parts = parts_of(rows);
  return parts == 1 ? 0 : parts * columns * static_cast<int64_t>(sizeof(float));
}

void column_sums(const float* dz, float* db, int64_t rows, int64_t columns, bool accumulate,
                 void* workspace, Stream stream) {
  const int64_t parts = parts_of(rows);
  float* partial = static_cast<float*>(workspace);
  const dim3 block(kSumColumns, kSumRows);
  const auto grid = [&](int64_t pieces) {
    return dim3(blocks_for(columns, kSumColumns, INT32_MAX).x, static_cast<unsigned>(pieces));
  };
  launch(sum_rows, grid(parts), block, stream, dz, parts == 1 ? db : partial, rows, columns,
         parts == 1 && accumulate);
  if (parts > 1) launch(sum_rows, grid(1), block, stream, partial, db, parts, columns, accumulate);
}

}  // namespace trireme::core

// Threads laid over a matrix: x over columns, y over rows, so that no thread divides.
#pragma once

#include "core/cuda/launch.h"

namespace trireme::core {

struct MatrixTile {
  dim3 grid, block;
};

// Blocks of 256 threads as wide as the rows allow (a power of two), over rows x columns; kernels
// stride over what is left.
inline MatrixTile tile_over(int64_t rows, int64_t columns) {
  unsigned width = 1;
  while (width < 256 && width < columns) width *= 2;
  const dim3 block(width, 256 / width);
  const dim3 across = blocks_for(columns, static_cast<int>(width), 65535);
  const dim3 down = blocks_for(rows, static_cast<int>(block.y), 4096);
  return {dim3(down.x, across.x), block};
}

// Calls body(row, column) for this thread's share of rows x columns.
template <typename Body>
__device__ void for_each_of_matrix(int64_t rows, int64_t columns, const Body& body) {
  const int64_t row_stride = int64_t{gridDim.x} * blockDim.y;
  const int64_t column_stride = int64_t{gridDim.y} * blockDim.x;
  for (int64_t row = int64_t{blockIdx.x} * blockDim.y + threadIdx.y; row < rows; row += row_stride)
    for (int64_t column = int64_t{blockIdx.y} * blockDim.x + threadIdx.x; column < columns;
         column += column_stride)
      body(row, column);
}

}  // namespace trireme::core

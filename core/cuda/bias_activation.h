// What a matrix product leaves undone where its library cannot fuse it: bias, activation, and the
// bias's gradient.
//
// Matrices are row-major; a convolution's NHWC images are the matrix (N OH OW, O). Pointers lie on
// the device and belong to the caller; work is ready in stream order.
#pragma once

#include <cstdint>

#include "core/base/activation_kind.h"
#include "core/runtime/stream.h"

namespace trireme::core {

// z += b;  y = f(z).
//
//   z  (rows, columns), the product; holds the pre-activation afterwards, unless y == z
//   b  (columns), or null
//   y  (rows, columns); may be z, and then only f(z + b) is kept
//
// Any alignment; 16-byte pointers and columns divisible by 4 are fastest.
void add_bias_activation(float* z, const float* bias, float* y, int64_t rows, int64_t columns,
                         ActivationKind kind, Stream stream);

// db[c] (+)= sum_r dz[r, c], summed in an order that depends on (rows, columns) alone.
//
//   dz         (rows, columns)
//   db         (columns), replaced, or added to if `accumulate`
//   workspace  column_sums_workspace_bytes(rows, columns), 16-byte aligned
void column_sums(const float* dz, float* db, int64_t rows, int64_t columns, bool accumulate,
                 void* workspace, Stream stream);
int64_t column_sums_workspace_bytes(int64_t rows, int64_t columns);

}  // namespace trireme::core

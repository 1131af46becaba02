// Sums over the rows of a matrix: the gradient of a bias.
#pragma once

#include <cstdint>

namespace trireme::core {

// sums[j] = sum_i x[i, j], or sums[j] += where `accumulate`.
//
//   x     (rows, columns)
//   sums  (columns)
//
// Rows are added in blocks of 128, then the blocks in order, so that the error grows with the
// square root of the row number at worst and the bits do not depend on the thread count.
void column_sums(const float* x, int64_t rows, int64_t columns, bool accumulate, float* sums,
                 int threads);

}  // namespace trireme::core

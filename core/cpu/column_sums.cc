#include "core/cpu/column_sums.h"

#include <algorithm>

#include "core/cpu/parallel.h"
#include "core/cpu/simd.h"

namespace trireme::core {
namespace {

constexpr int64_t kRowBlock = 128;
constexpr int64_t kColumnBlock = 64;

// Columns [first, first + count), count <= kColumnBlock.
TRIREME_SIMD void sum_columns(const float* x, int64_t rows, int64_t columns, int64_t first,
                              int64_t count, bool accumulate, float* sums) {
  float total[kColumnBlock] = {};
  for (int64_t begin = 0; begin < rows; begin += kRowBlock) {
    const int64_t end = std::min(rows, begin + kRowBlock);
    float block[kColumnBlock] = {};
    for (int64_t i = begin; i < end; ++i) {
      const float* row = x + i * columns + first;
      for (int64_t j = 0; j < count; ++j) block[j] += row[j];
    }
    for (int64_t j = 0; j < count; ++j) total[j] += block[j];
  }
  for (int64_t j = 0; j < count; ++j)
    sums[first + j] = accumulate ? sums[first + j] + total[j] : total[j];
}

}  // namespace

void column_sums(const float* x, int64_t rows, int64_t columns, bool accumulate, float* sums,
                 int threads) {
  const int64_t blocks = (columns + kColumnBlock - 1) / kColumnBlock;
  parallel_for(threads, blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      const int64_t first = block * kColumnBlock;
      sum_columns(x, rows, columns, first, std::min(kColumnBlock, columns - first), accumulate,
                  sums);
    }
  });
}

}  // namespace trireme::core

#include "core/cpu/column_sums.h"

#include <algorithm>

#include "core/cpu/parallel.h"
#include "core/cpu/simd.h"

namespace trireme::core {
namespace {

constexpr int64_t kRowBlock = 128;
constexpr int64_t kColumnBlock = 64;
constexpr int64_t kGrainElements = 1 << 14;  // below which a thread costs more than it saves

// Columns [first, first + count), count <= kColumnBlock, of rows `row` elements apart.
TRIREME_SIMD void sum_columns(const float* x, int64_t rows, int64_t row, int64_t first,
                              int64_t count, float* sums) {
  float total[kColumnBlock] = {};
  for (int64_t begin = 0; begin < rows; begin += kRowBlock) {
    const int64_t end = std::min(rows, begin + kRowBlock);
    float block[kColumnBlock] = {};
    for (int64_t i = begin; i < end; ++i) {
      const float* from = x + i * row + first;
      for (int64_t j = 0; j < count; ++j) block[j] += from[j];
    }
    for (int64_t j = 0; j < count; ++j) total[j] += block[j];
  }
  std::copy_n(total, count, sums);
}

// So few columns that rows are taken together, as many as fill a block: longer vectors.
void sum_narrow(const float* x, int64_t rows, int64_t columns, float* sums) {
  const int64_t together = kColumnBlock / columns;
  float wide[kColumnBlock];
  sum_columns(x, rows / together, together * columns, 0, together * columns, wide);
  std::copy_n(wide, columns, sums);
  for (int64_t i = 1; i < together; ++i)
    for (int64_t j = 0; j < columns; ++j) sums[j] += wide[i * columns + j];
  for (int64_t i = rows / together * together; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) sums[j] += x[i * columns + j];
}

}  // namespace

void column_sums(const float* x, int64_t rows, int64_t columns, bool accumulate, float* sums,
                 int threads) {
  const int64_t blocks = (columns + kColumnBlock - 1) / kColumnBlock;
  const int64_t grain = 1 + kGrainElements / (kColumnBlock * rows + 1);
  parallel_for(threads, blocks, grain, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      const int64_t first = block * kColumnBlock;
      const int64_t count = std::min(kColumnBlock, columns - first);
      float found[kColumnBlock];
      if (2 * columns <= kColumnBlock)
        sum_narrow(x, rows, columns, found);
      else
        sum_columns(x, rows, columns, first, count, found);
      for (int64_t j = 0; j < count; ++j)
        sums[first + j] = accumulate ? sums[first + j] + found[j] : found[j];
    }
  });
}

}  // namespace trireme::core

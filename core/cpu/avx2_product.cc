#include "core/cpu/avx2_product.h"

#include <algorithm>
#include <cstring>

#include "core/base/error.h"
#include "core/cpu/parallel.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

// Registers: a tile of 6 x 16 takes 12 of the 16, two hold a row of b, one an element of a.
// Source: Goto and van de Geijn, Anatomy of High-Performance Matrix Multiplication (2008), and the
// BLIS Haswell kernel for the tile's shape.
#define TRIREME_AVX2 __attribute__((target("avx2,fma")))
#define TRIREME_AVX2_INLINE __attribute__((target("avx2,fma"), always_inline)) inline

namespace trireme::core {
namespace {

constexpr int kTileRows = 6;
constexpr int kTileColumns = 16;
constexpr int64_t kDepth = 256;              // of a panel of b: 16 KiB, half of the first cache
constexpr int64_t kRowBlock = 192;           // rows of a that a panel is packed for
constexpr int64_t kGrainFlops = 1 << 18;     // 3 us: less than that does not pay for a thread
constexpr int64_t kGrainElements = 1 << 13;  // of a transposition, likewise

// What becomes of a tile's sums.
struct Finish {
  const float* bias = nullptr;  // kTileColumns values, or null
  bool add = false;             // to what c holds
  bool relu = false;
};

// c (kRows, 16) = finish(a (kRows, k) panel (k, 16))
template <int kRows>
TRIREME_AVX2 void tile(int64_t k, const float* a, int64_t a_row, const float* panel,
                       const Finish& finish, float* c, int64_t c_row) {
  __m256 sums[kRows][2];
#pragma GCC unroll 6
  for (int r = 0; r < kRows; ++r) {
    const float* start = finish.add ? c + r * c_row : finish.bias;
    sums[r][0] = start ? _mm256_loadu_ps(start) : _mm256_setzero_ps();
    sums[r][1] = start ? _mm256_loadu_ps(start + 8) : _mm256_setzero_ps();
  }
  for (int64_t i = 0; i < k; ++i) {
    const __m256 b0 = _mm256_loadu_ps(panel), b1 = _mm256_loadu_ps(panel + 8);
    panel += kTileColumns;
#pragma GCC unroll 6
    for (int r = 0; r < kRows; ++r) {
      const __m256 value = _mm256_broadcast_ss(a + r * a_row + i);
      sums[r][0] = _mm256_fmadd_ps(value, b0, sums[r][0]);
      sums[r][1] = _mm256_fmadd_ps(value, b1, sums[r][1]);
    }
  }
#pragma GCC unroll 6
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < 2; ++v) {
      // NaN stays NaN: maxps gives its second operand.
      const __m256 value =
          finish.relu ? _mm256_max_ps(_mm256_setzero_ps(), sums[r][v]) : sums[r][v];
      _mm256_storeu_ps(c + r * c_row + 8 * v, value);
    }
}

void tile_of(int64_t rows, int64_t k, const float* a, int64_t a_row, const float* panel,
             const Finish& finish, float* c, int64_t c_row) {
  switch (rows) {
    case 6:
      return tile<6>(k, a, a_row, panel, finish, c, c_row);
    case 5:
      return tile<5>(k, a, a_row, panel, finish, c, c_row);
    case 4:
      return tile<4>(k, a, a_row, panel, finish, c, c_row);
    case 3:
      return tile<3>(k, a, a_row, panel, finish, c, c_row);
    case 2:
      return tile<2>(k, a, a_row, panel, finish, c, c_row);
    default:
      return tile<1>(k, a, a_row, panel, finish, c, c_row);
  }
}

// to (8, 8) = from (8, 8) transposed.
TRIREME_AVX2_INLINE void transpose8(const float* from, int64_t from_row, float* to,
                                    int64_t to_row) {
  __m256 r[8], s[8];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) r[i] = _mm256_loadu_ps(from + i * from_row);
#pragma GCC unroll 4
  for (int i = 0; i < 8; i += 2) {
    s[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
    s[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
  }
#pragma GCC unroll 2
  for (int i = 0; i < 8; i += 4) {
    r[i] = _mm256_shuffle_ps(s[i], s[i + 2], 0x44);
    r[i + 1] = _mm256_shuffle_ps(s[i], s[i + 2], 0xEE);
    r[i + 2] = _mm256_shuffle_ps(s[i + 1], s[i + 3], 0x44);
    r[i + 3] = _mm256_shuffle_ps(s[i + 1], s[i + 3], 0xEE);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    _mm256_storeu_ps(to + i * to_row, _mm256_permute2f128_ps(r[i], r[i + 4], 0x20));
    _mm256_storeu_ps(to + (i + 4) * to_row, _mm256_permute2f128_ps(r[i], r[i + 4], 0x31));
  }
}

// to (columns, rows) = from (rows, columns) transposed, both inside larger matrices.
TRIREME_AVX2 void transpose_block(const float* from, int64_t from_row, int64_t rows,
                                  int64_t columns, float* to, int64_t to_row) {
  int64_t i = 0;
  for (; i + 8 <= rows; i += 8) {
    int64_t j = 0;
    for (; j + 8 <= columns; j += 8)
      transpose8(from + i * from_row + j, from_row, to + j * to_row + i, to_row);
    for (; j < columns; ++j)
      for (int64_t r = i; r < i + 8; ++r) to[j * to_row + r] = from[r * from_row + j];
  }
  for (; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) to[j * to_row + i] = from[i * from_row + j];
}

// panel (depth, 16) = b[first_k.., first_n..], zeros past n.
void pack(const Avx2Product& product, const float* b, int64_t first_k, int64_t depth,
          int64_t first_n, float* panel) {
  const int64_t columns = std::min<int64_t>(kTileColumns, product.n - first_n);
  if (columns < kTileColumns) std::fill_n(panel, depth * kTileColumns, 0.0F);
  if (product.b_transposed) {
    transpose_block(b + first_n * product.k + first_k, product.k, columns, depth, panel,
                    kTileColumns);
    return;
  }
  for (int64_t i = 0; i < depth; ++i)
    std::memcpy(panel + i * kTileColumns, b + (first_k + i) * product.n + first_n,
                static_cast<size_t>(columns) * sizeof(float));
}

// Rows [first, last) of c's columns from first_n on, for one panel.
void multiply_panel(const Avx2Product& product, const float* a, int64_t depth, int64_t first,
                    int64_t last, int64_t first_n, const float* panel, const Finish& finish,
                    float* c) {
  const int64_t columns = std::min<int64_t>(kTileColumns, product.n - first_n);
  for (int64_t i = first; i < last; i += kTileRows) {
    const int64_t rows = std::min<int64_t>(kTileRows, last - i);
    float* target = c + i * product.n + first_n;
    if (columns == kTileColumns) {
      tile_of(rows, depth, a + i * product.k, product.k, panel, finish, target, product.n);
      continue;
    }
    float edge[kTileRows * kTileColumns] = {};
    for (int64_t r = 0; r < rows && finish.add; ++r)
      std::copy_n(target + r * product.n, columns, edge + r * kTileColumns);
    tile_of(rows, depth, a + i * product.k, product.k, panel, finish, edge, kTileColumns);
    for (int64_t r = 0; r < rows; ++r)
      std::copy_n(edge + r * kTileColumns, columns, target + r * product.n);
  }
}

}  // namespace

bool has_avx2_product() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         !__builtin_cpu_supports("avx512f");
}

void Avx2Product::run(const float* a, const float* b, const float* bias, float* c,
                      int threads) const {
  const auto useful =
      static_cast<int>(std::clamp<int64_t>(2 * m * n * k / kGrainFlops, 1, threads));
  const int64_t panels = (n + kTileColumns - 1) / kTileColumns;
  const int64_t blocks = (m + kRowBlock - 1) / kRowBlock;
  const int64_t wanted = std::max<int64_t>(blocks, (useful + panels - 1) / panels);
  const int64_t block_rows = (m + wanted - 1) / wanted;
  parallel_for(useful, panels * wanted, 1, [&](int64_t begin, int64_t end) {
    alignas(64) float panel[kDepth * kTileColumns];
    alignas(32) float biases[kTileColumns] = {};
    for (int64_t task = begin; task < end; ++task) {
      const int64_t first_n = task % panels * kTileColumns;
      const int64_t first = task / panels * block_rows, last = std::min(m, first + block_rows);
      if (bias) std::copy_n(bias + first_n, std::min<int64_t>(kTileColumns, n - first_n), biases);
      for (int64_t first_k = 0; first_k < k; first_k += kDepth) {
        const int64_t depth = std::min(kDepth, k - first_k);
        pack(*this, b, first_k, depth, first_n, panel);
        const Finish finish{.bias = bias ? biases : nullptr,
                            .add = accumulate || first_k > 0,
                            .relu = relu && first_k + depth == k};
        multiply_panel(*this, a + first_k, depth, first, last, first_n, panel, finish, c);
      }
    }
  });
}

void avx2_transpose(const float* from, int64_t rows, int64_t columns, float* to, int threads) {
  constexpr int64_t kBlock = 64;
  const int64_t grain = 1 + kGrainElements / (kBlock * rows + 1);
  parallel_for(threads, (columns + kBlock - 1) / kBlock, grain, [&](int64_t begin, int64_t end) {
    for (int64_t j = begin * kBlock; j < std::min(columns, end * kBlock); j += kBlock)
      for (int64_t i = 0; i < rows; i += kBlock)
        transpose_block(from + i * columns + j, columns, std::min(kBlock, rows - i),
                        std::min(kBlock, columns - j), to + j * rows + i, rows);
  });
}

}  // namespace trireme::core

#else

namespace trireme::core {

bool has_avx2_product() { return false; }
void Avx2Product::run(const float*, const float*, const float*, float*, int) const {
  ensure(false, "a product for AVX2 on a CPU that has it");
}
void avx2_transpose(const float*, int64_t, int64_t, float*, int) {
  ensure(false, "a transposition for AVX2 on a CPU that has it");
}

}  // namespace trireme::core

#endif

#include "core/cpu/avx2_product.h"

#include <algorithm>
#include <cstring>

#include "core/base/error.h"
#include "core/cpu/parallel.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

// Panels of b, 16 columns wide and up to 512 deep, are packed for all blocks of rows together, and
// strips of an a that is stored (k, m) for each block.
//
// Registers: a tile of 6 x 16 takes 12 of the 16, two hold a row of b, one an element of a.
// Source: Goto and van de Geijn, Anatomy of High-Performance Matrix Multiplication (2008), and the
// BLIS Haswell kernel for the tile's shape.
#define TRIREME_AVX2 __attribute__((target("avx2,fma")))
#define TRIREME_AVX2_INLINE __attribute__((target("avx2,fma"), always_inline)) inline

namespace trireme::core {
namespace {

constexpr int kTileRows = 6;
constexpr int kTileColumns = 16;
constexpr int64_t kDepth = 512;            // of a panel of b, at most: 32 KiB
constexpr int64_t kRowBlock = 192;         // rows of a that a panel is packed for
constexpr int64_t kStripBlock = 96;        // likewise, where a is packed too
constexpr int64_t kSlabPanels = 128;       // that blocks of rows share: 4 MiB
constexpr int64_t kGrainFlops = 1 << 18;   // 3 us: less than that does not pay for a thread
constexpr int64_t kMostStripWorkers = 64;  // that the workspace has room for

// What becomes of a tile's sums.
struct Finish {
  const float* bias = nullptr;  // kTileColumns values, or null
  bool add = false;             // to what c holds
  bool relu = false;
};

// Rows of a, some distance apart; or, where that is 0, strips of kTileRows rows side by side.
struct Rows {
  const float* data;
  int64_t distance;

  Rows from(int64_t row, int64_t depth) const {
    return {data + row * (distance == 0 ? depth : distance), distance};
  }
};

// c (kRows, 16) = finish(a (kRows, k) panel (k, 16))
template <int kRows, bool kStrip>
TRIREME_AVX2 void tile(int64_t k, const Rows& rows, const float* panel, const Finish& finish,
                       float* c, int64_t c_row) {
  const float* a = rows.data;
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
      const __m256 value =
          _mm256_broadcast_ss(kStrip ? a + i * kTileRows + r : a + r * rows.distance + i);
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

template <int kRows>
void tile_of(int64_t k, const Rows& a, const float* panel, const Finish& finish, float* c,
             int64_t c_row) {
  if (a.distance == 0) return tile<kRows, true>(k, a, panel, finish, c, c_row);
  return tile<kRows, false>(k, a, panel, finish, c, c_row);
}

void tile_of(int64_t rows, int64_t k, const Rows& a, const float* panel, const Finish& finish,
             float* c, int64_t c_row) {
  switch (rows) {
    case 6:
      return tile_of<6>(k, a, panel, finish, c, c_row);
    case 5:
      return tile_of<5>(k, a, panel, finish, c, c_row);
    case 4:
      return tile_of<4>(k, a, panel, finish, c, c_row);
    case 3:
      return tile_of<3>(k, a, panel, finish, c, c_row);
    case 2:
      return tile_of<2>(k, a, panel, finish, c, c_row);
    default:
      return tile_of<1>(k, a, panel, finish, c, c_row);
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

// Depths [first_k, first_k + depth) of a product.
struct Cut {
  int64_t first_k, depth;
};

int64_t cuts_of(int64_t k) { return (k + kDepth - 1) / kDepth; }

Cut cut_of(int64_t k, int64_t cut) {
  const int64_t first = k * cut / cuts_of(k);
  return {first, k * (cut + 1) / cuts_of(k) - first};
}

int64_t panels_of(int64_t n) { return (n + kTileColumns - 1) / kTileColumns; }

// panel (depth, 16) = columns of b from first_n on, zeros past n.
TRIREME_AVX2 void pack(const Avx2Product& product, const float* b, const Cut& cut, int64_t first_n,
                       float* panel) {
  const int64_t columns = std::min<int64_t>(kTileColumns, product.n - first_n);
  if (columns < kTileColumns) std::fill_n(panel, cut.depth * kTileColumns, 0.0F);
  if (product.b_transposed) {
    transpose_block(b + first_n * product.k + cut.first_k, product.k, columns, cut.depth, panel,
                    kTileColumns);
    return;
  }
  for (int64_t i = 0; i < cut.depth; ++i, panel += kTileColumns) {
    const float* from = b + (cut.first_k + i) * product.n + first_n;
    __builtin_prefetch(from + kTileColumns, 0, 2);  // of the next panel: no stride is foreseen
    if (columns < kTileColumns) {
      std::copy_n(from, columns, panel);
      continue;
    }
    _mm256_storeu_ps(panel, _mm256_loadu_ps(from));
    _mm256_storeu_ps(panel + 8, _mm256_loadu_ps(from + 8));
  }
}

// strips = rows [first, last) of an a that is stored (k, m). A few depths at a time, so that a's
// lines are read one after the other.
void pack_strips(const Avx2Product& product, const float* a, const Cut& cut, int64_t first,
                 int64_t last, float* strips) {
  constexpr int64_t kTogether = 16;
  for (int64_t begin = 0; begin < cut.depth; begin += kTogether) {
    const int64_t end = std::min(cut.depth, begin + kTogether);
    for (int64_t row = first; row < last; row += kTileRows) {
      const float* from = a + cut.first_k * product.m + row;
      float* strip = strips + (row - first) * cut.depth;
      if (last - row >= kTileRows)
        for (int64_t i = begin; i < end; ++i)
          std::memcpy(strip + i * kTileRows, from + i * product.m, kTileRows * sizeof(float));
      else
        for (int64_t i = begin; i < end; ++i)
          std::copy_n(from + i * product.m, last - row, strip + i * kTileRows);
    }
  }
}

// Rows [first, last) of c's columns from first_n on, for one panel. `a` begins with row `first`.
void multiply_panel(const Avx2Product& product, const Rows& a, int64_t depth, int64_t first,
                    int64_t last, int64_t first_n, const float* panel, const Finish& finish,
                    float* c) {
  const int64_t columns = std::min<int64_t>(kTileColumns, product.n - first_n);
  for (int64_t i = first; i < last; i += kTileRows) {
    const int64_t rows = std::min<int64_t>(kTileRows, last - i);
    const Rows strip = a.from(i - first, depth);
    float* target = c + i * product.n + first_n;
    if (columns == kTileColumns) {
      tile_of(rows, depth, strip, panel, finish, target, product.n);
      continue;
    }
    float edge[kTileRows * kTileColumns] = {};
    for (int64_t r = 0; r < rows && finish.add; ++r)
      std::copy_n(target + r * product.n, columns, edge + r * kTileColumns);
    tile_of(rows, depth, strip, panel, finish, edge, kTileColumns);
    for (int64_t r = 0; r < rows; ++r)
      std::copy_n(edge + r * kTileColumns, columns, target + r * product.n);
  }
}

// A block of c: rows [first, last) in panels [first_panel, last_panel).
struct Block {
  int64_t first, last, first_panel, last_panel;
};

struct Operands {
  const float *a, *b, *bias;
  float* c;
};

// `slab`: the block's panels, packed; null: each is packed here, for this block alone.
void multiply_block(const Avx2Product& product, const Operands& operands, const Cut& cut,
                    const Block& block, const float* slab, float* strips) {
  alignas(64) float own[kDepth * kTileColumns];
  alignas(32) float biases[kTileColumns] = {};
  const auto [first_k, depth] = cut;
  if (product.a_transposed) pack_strips(product, operands.a, cut, block.first, block.last, strips);
  const Rows rows = product.a_transposed
                        ? Rows{strips, 0}
                        : Rows{operands.a + block.first * product.k + first_k, product.k};
  for (int64_t p = block.first_panel; p < block.last_panel; ++p) {
    const int64_t first_n = p * kTileColumns;
    if (operands.bias)
      std::copy_n(operands.bias + first_n, std::min<int64_t>(kTileColumns, product.n - first_n),
                  biases);
    if (!slab) pack(product, operands.b, cut, first_n, own);
    const float* panel = slab ? slab + (p - block.first_panel) * depth * kTileColumns : own;
    const Finish finish{.bias = operands.bias ? biases : nullptr,
                        .add = product.accumulate || first_k > 0,
                        .relu = product.relu && first_k + depth == product.k};
    multiply_panel(product, rows, depth, block.first, block.last, first_n, panel, finish,
                   operands.c);
  }
}

// The blocks of c within some panels, over the threads: multiply(block, worker). A worker takes a
// run of (block of rows, panel) pairs: the panels of a block together.
template <typename Multiply>
void for_each_block(int64_t m, int64_t rows, int64_t first_panel, int64_t last_panel,
                    int64_t workers, const Multiply& multiply) {
  const int64_t panels = last_panel - first_panel;
  const int64_t pairs = panels * ((m + rows - 1) / rows);
  parallel_for(static_cast<int>(workers), workers, 1, [&](int64_t begin, int64_t end) {
    for (int64_t worker = begin; worker < end; ++worker) {
      int64_t pair = pairs * worker / workers;
      const int64_t last = pairs * (worker + 1) / workers;
      while (pair < last) {
        const int64_t block = pair / panels, panel = pair % panels;
        const int64_t count = std::min(panels - panel, last - pair);
        multiply(Block{block * rows, std::min(m, (block + 1) * rows), first_panel + panel,
                       first_panel + panel + count},
                 worker);
        pair += count;
      }
    }
  });
}

}  // namespace

bool has_avx2_product() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         !__builtin_cpu_supports("avx512f");
}

int64_t Avx2Product::workers(int64_t threads) const {
  return std::clamp<int64_t>(2 * m * n * k / kGrainFlops, 1,
                             a_transposed ? std::min(threads, kMostStripWorkers) : threads);
}

int64_t Avx2Product::row_block() const { return a_transposed ? kStripBlock : kRowBlock; }

int64_t Avx2Product::slab_elements() const {
  if (m <= row_block()) return 0;
  return std::min(panels_of(n), kSlabPanels) * kTileColumns * std::min(k, kDepth);
}

int64_t Avx2Product::workspace_bytes() const {
  const int64_t strips = a_transposed ? workers(kMostStripWorkers) * kStripBlock * kDepth : 0;
  return (slab_elements() + strips) * static_cast<int64_t>(sizeof(float));
}

void Avx2Product::run(const float* a, const float* b, const float* bias, float* c, int threads,
                      void* workspace) const {
  const Operands operands{a, b, bias, c};
  const int64_t useful = workers(threads), panels = panels_of(n);
  const int64_t wanted =
      std::max((m + row_block() - 1) / row_block(), (useful + panels - 1) / panels);
  const int64_t rows = ((m + wanted - 1) / wanted + kTileRows - 1) / kTileRows * kTileRows;
  float* slab = static_cast<float*>(workspace);
  const auto strips_of = [&](int64_t worker) {
    return slab + slab_elements() + worker * kStripBlock * kDepth;
  };
  if (slab_elements() == 0) {  // one block of rows: nobody else would read its panels
    for_each_block(m, rows, 0, panels, useful, [&](const Block& block, int64_t worker) {
      for (int64_t cut = 0; cut < cuts_of(k); ++cut)
        multiply_block(*this, operands, cut_of(k, cut), block, nullptr, strips_of(worker));
    });
    return;
  }
  const int64_t slabs = (panels + kSlabPanels - 1) / kSlabPanels;
  for (int64_t step = 0; step < cuts_of(k) * slabs; ++step) {
    const Cut cut = cut_of(k, step / slabs);
    const int64_t first = panels * (step % slabs) / slabs;
    const int64_t last = panels * (step % slabs + 1) / slabs;
    const auto packed = [&](int64_t panel) {
      return slab + (panel - first) * cut.depth * kTileColumns;
    };
    parallel_for(threads, last - first, 4, [&](int64_t begin, int64_t end) {
      for (int64_t p = first + begin; p < first + end; ++p)
        pack(*this, b, cut, p * kTileColumns, packed(p));
    });
    for_each_block(m, rows, first, last, useful, [&](const Block& block, int64_t worker) {
      multiply_block(*this, operands, cut, block, packed(block.first_panel), strips_of(worker));
    });
  }
}

}  // namespace trireme::core

#else

namespace trireme::core {

bool has_avx2_product() { return false; }
int64_t Avx2Product::workers(int64_t) const { return 1; }
int64_t Avx2Product::row_block() const { return 0; }
int64_t Avx2Product::slab_elements() const { return 0; }
int64_t Avx2Product::workspace_bytes() const { return 0; }
void Avx2Product::run(const float*, const float*, const float*, float*, int, void*) const {
  ensure(false, "a product for AVX2 on a CPU that has it");
}

}  // namespace trireme::core

#endif

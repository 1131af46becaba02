#include "core/cpu/block_loops.h"

#include <algorithm>
#include <cmath>
#include <limits>

#define TRIREME_INLINE __attribute__((always_inline)) inline
#if defined(__GNUC__) && !defined(__clang__)
// Products and sums may be fused here: there are no other devices' bits to agree with.
#define TRIREME_LOOPS optimize("O3", "fp-contract=fast")
#else
#define TRIREME_LOOPS
#endif

namespace trireme::core {
namespace {

// Vectors of kWidth floats in the compiler's own words. Never passed by value, so that no calling
// convention depends on the CPU.
template <int kWidth>
struct Vector {
  typedef float F __attribute__((vector_size(4 * kWidth)));
  typedef int32_t I __attribute__((vector_size(4 * kWidth)));
  typedef float Unaligned __attribute__((vector_size(4 * kWidth), aligned(4), may_alias));

  static constexpr int kVectors = static_cast<int>(kStripColumns) / kWidth;  // in a column group
};

#define TRIREME_LOAD(p) (*reinterpret_cast<const Unaligned*>(p))
#define TRIREME_STORE(p, v) (*reinterpret_cast<Unaligned*>(p) = (v))

// x = e^x for x <= 0, as fast_exp (core/kernels/math.h) has it; 0 below -86.5. NaN stays.
template <int kWidth>
TRIREME_INLINE void exp_in_place(typename Vector<kWidth>::F& x) {
  using F = typename Vector<kWidth>::F;
  using I = typename Vector<kWidth>::I;
  const F zero = {};
  const F lowest = zero - 86.5F, magic = zero + 12582912.0F;
  const F clamped = x < lowest ? lowest : x;
  const F shifted = clamped * 1.44269504F + magic;
  const F n = shifted - magic;
  const F r = (clamped - n * 0.693359375F) + n * 2.12194440e-4F;
  F p = r * 1.9875691500e-4F + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * (r * r) + (r + 1.0F);
  const I exponent = ((I)shifted - (I)magic + 127) << 23;
  x = x < lowest ? zero : p * (F)exponent;
}

// c (kRows, kColumns vectors), one strip.
template <int kWidth, int kRows, int kColumns>
TRIREME_INLINE void tile(const BlockProduct& x, const float* a, const float* b, float* c,
                         int64_t c_row) {
  using F = typename Vector<kWidth>::F;
  using Unaligned = typename Vector<kWidth>::Unaligned;
  F sums[kRows][kColumns];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < kColumns; ++v)
      sums[r][v] = x.add ? TRIREME_LOAD(c + r * c_row + v * kWidth) : F{};
  for (int64_t i = 0; i < x.k; ++i) {
    F row[kColumns];
#pragma GCC unroll 4
    for (int v = 0; v < kColumns; ++v) row[v] = TRIREME_LOAD(b + i * x.b_row + v * kWidth);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const float value = a[r * x.a_row + i * x.a_column];
#pragma GCC unroll 4
      for (int v = 0; v < kColumns; ++v) sums[r][v] += value * row[v];
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < kColumns; ++v) TRIREME_STORE(c + r * c_row + v * kWidth, sums[r][v]);
}

// All columns of kRows rows.
template <int kWidth, int kRows>
TRIREME_INLINE void strip(const BlockProduct& x, const float* a, float* c) {
  constexpr int kColumns = Vector<kWidth>::kVectors;
  int64_t n = 0;
  if constexpr (kColumns == 1)  // vectors of 16: there are registers for four
    for (; n + 4 * kWidth <= x.n; n += 4 * kWidth)
      tile<kWidth, kRows, 4>(x, a, x.b + n, c + n, x.c_row);
  for (; n + kStripColumns <= x.n; n += kStripColumns)
    tile<kWidth, kRows, kColumns>(x, a, x.b + n, c + n, x.c_row);
  if (n == x.n) return;
  float edge[kRows * kStripColumns] = {};
  for (int64_t r = 0; r < kRows && x.add; ++r)
    std::copy_n(c + r * x.c_row + n, x.n - n, edge + r * kStripColumns);
  tile<kWidth, kRows, kColumns>(x, a, x.b + n, edge, kStripColumns);
  for (int64_t r = 0; r < kRows; ++r)
    std::copy_n(edge + r * kStripColumns, x.n - n, c + r * x.c_row + n);
}

template <int kWidth>
TRIREME_INLINE void product(const BlockProduct& x) {
  int64_t m = 0;
  for (; m + 6 <= x.m; m += 6) strip<kWidth, 6>(x, x.a + m * x.a_row, x.c + m * x.c_row);
  for (; m + 2 <= x.m; m += 2) strip<kWidth, 2>(x, x.a + m * x.a_row, x.c + m * x.c_row);
  if (m < x.m) strip<kWidth, 1>(x, x.a + m * x.a_row, x.c + m * x.c_row);
}

// Of the column group from query c on: the keys that some query of it sees. Scores unseen within
// become -infinity; strips reach up to kStripRows - 1 keys further, and find zeros there.
TRIREME_INLINE int64_t mask_group(const ScoreBlock& block, int64_t c, float* gradients) {
  const int64_t end = std::min(block.keys, c + kStripColumns + block.ahead);
  for (int64_t k = std::max<int64_t>(0, c + block.ahead + 1); k < end; ++k)
    std::fill(block.scores + k * block.row + c, block.scores + k * block.row + k - block.ahead,
              -std::numeric_limits<float>::infinity());
  for (int64_t k = end; k < std::min(block.keys, end + kStripRows); ++k) {
    std::fill_n(block.scores + k * block.row + c, kStripColumns, 0.0F);
    if (gradients) std::fill_n(gradients + k * block.row + c, kStripColumns, 0.0F);
  }
  return end;
}

template <int kWidth>
TRIREME_INLINE void softmax(const ScoreBlock& block, float* max, float* sum, float* correction) {
  using F = typename Vector<kWidth>::F;
  using Unaligned = typename Vector<kWidth>::Unaligned;
  constexpr int kVectors = Vector<kWidth>::kVectors;
  for (int64_t c = 0; c < block.queries; c += kStripColumns) {
    const int64_t keys = mask_group(block, c, nullptr);
    float* scores = block.scores + c;
    F top[kVectors], total[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) top[v] = TRIREME_LOAD(max + c + v * kWidth);
    for (int64_t k = 0; k < keys; ++k)
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        const F score = TRIREME_LOAD(scores + k * block.row + v * kWidth);
        top[v] = score > top[v] ? score : top[v];
      }
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      F factor = TRIREME_LOAD(max + c + v * kWidth) - top[v];
      exp_in_place<kWidth>(factor);
      total[v] = TRIREME_LOAD(sum + c + v * kWidth) * factor;
      TRIREME_STORE(correction + c + v * kWidth, factor);
      TRIREME_STORE(max + c + v * kWidth, top[v]);
    }
    for (int64_t k = 0; k < keys; ++k)
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        F p = TRIREME_LOAD(scores + k * block.row + v * kWidth) - top[v];
        exp_in_place<kWidth>(p);
        total[v] += p;
        TRIREME_STORE(scores + k * block.row + v * kWidth, p);
      }
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) TRIREME_STORE(sum + c + v * kWidth, total[v]);
  }
}

template <int kWidth>
TRIREME_INLINE void softmax_gradient(const ScoreBlock& block, const float* log_sum_exp,
                                     const float* delta, float* gradients) {
  using F = typename Vector<kWidth>::F;
  using Unaligned = typename Vector<kWidth>::Unaligned;
  for (int64_t group = 0; group < block.queries; group += kStripColumns) {
    const int64_t keys = mask_group(block, group, gradients);
    for (int64_t c = group; c < group + kStripColumns; c += kWidth) {
      const F lse = TRIREME_LOAD(log_sum_exp + c), mean = TRIREME_LOAD(delta + c);
      for (int64_t k = 0; k < keys; ++k) {
        float *score = block.scores + k * block.row + c, *gradient = gradients + k * block.row + c;
        F p = TRIREME_LOAD(score) - lse;
        exp_in_place<kWidth>(p);
        TRIREME_STORE(score, p);
        TRIREME_STORE(gradient, p * (TRIREME_LOAD(gradient) - mean));
      }
    }
  }
}

// to (4, 4) = scale * from (4, 4) transposed.
TRIREME_INLINE void transpose4(const float* from, int64_t from_row, float scale, float* to,
                               int64_t to_row) {
  using F = Vector<4>::F;
  using Unaligned = Vector<4>::Unaligned;
  F r[4];
  for (int i = 0; i < 4; ++i) r[i] = TRIREME_LOAD(from + i * from_row) * scale;
  const F a = __builtin_shufflevector(r[0], r[1], 0, 4, 1, 5);
  const F b = __builtin_shufflevector(r[0], r[1], 2, 6, 3, 7);
  const F c = __builtin_shufflevector(r[2], r[3], 0, 4, 1, 5);
  const F d = __builtin_shufflevector(r[2], r[3], 2, 6, 3, 7);
  TRIREME_STORE(to, __builtin_shufflevector(a, c, 0, 1, 4, 5));
  TRIREME_STORE(to + to_row, __builtin_shufflevector(a, c, 2, 3, 6, 7));
  TRIREME_STORE(to + 2 * to_row, __builtin_shufflevector(b, d, 0, 1, 4, 5));
  TRIREME_STORE(to + 3 * to_row, __builtin_shufflevector(b, d, 2, 3, 6, 7));
}

TRIREME_INLINE void transpose(const float* from, int64_t from_row, int64_t rows, int64_t columns,
                              float scale, float* to, int64_t to_row) {
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4) {
    int64_t c = 0;
    for (; c + 4 <= columns; c += 4)
      transpose4(from + r * from_row + c, from_row, scale, to + c * to_row + r, to_row);
    for (; c < columns; ++c)
      for (int64_t i = r; i < r + 4; ++i) to[c * to_row + i] = scale * from[i * from_row + c];
  }
  const int64_t end = (rows + kStripColumns - 1) / kStripColumns * kStripColumns;
  for (int64_t c = 0; r < end && c < columns; ++c)
    for (int64_t i = r; i < end; ++i)
      to[c * to_row + i] = i < rows ? scale * from[i * from_row + c] : 0;
}

#define TRIREME_BLOCK_LOOPS(name, width, ...)                                                      \
  struct name {                                                                                    \
    __VA_ARGS__ static void product_of(const BlockProduct& x) { product<width>(x); }               \
    __VA_ARGS__ static void softmax_of(const ScoreBlock& block, float* max, float* sum,            \
                                       float* correction) {                                        \
      softmax<width>(block, max, sum, correction);                                                 \
    }                                                                                              \
    __VA_ARGS__ static void softmax_gradient_of(const ScoreBlock& block, const float* lse,         \
                                                const float* delta, float* gradients) {            \
      softmax_gradient<width>(block, lse, delta, gradients);                                       \
    }                                                                                              \
    __VA_ARGS__ static void transpose_of(const float* from, int64_t from_row, int64_t rows,        \
                                         int64_t columns, float scale, float* to,                  \
                                         int64_t to_row) {                                         \
      transpose(from, from_row, rows, columns, scale, to, to_row);                                 \
    }                                                                                              \
    static constexpr BlockLoops kLoops{product_of, softmax_of, softmax_gradient_of, transpose_of}; \
  };

TRIREME_BLOCK_LOOPS(Baseline, 4, __attribute__((TRIREME_LOOPS)))
#if defined(__x86_64__) && defined(__GNUC__)
TRIREME_BLOCK_LOOPS(Avx2, 8, __attribute__((target("avx2,fma"), TRIREME_LOOPS)))
TRIREME_BLOCK_LOOPS(Avx512, 16,
                    __attribute__((target("avx512f,avx512dq,avx512vl,avx2,fma"), TRIREME_LOOPS)))
#endif

// Narrowest first; null where this CPU cannot run them.
struct Widths {
  const BlockLoops* loops[3] = {&Baseline::kLoops, nullptr, nullptr};
};

Widths widths_of_this_cpu() {
  Widths widths;
#if defined(__x86_64__) && defined(__GNUC__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    widths.loops[1] = &Avx2::kLoops;
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl"))
    widths.loops[2] = &Avx512::kLoops;
#endif
  return widths;
}

}  // namespace

std::vector<const BlockLoops*> block_loops_of_this_cpu() {
  std::vector<const BlockLoops*> found;
  for (const BlockLoops* loops : widths_of_this_cpu().loops)
    if (loops) found.push_back(loops);
  return found;
}

// Chosen without allocating: the first call may come from a step.
const BlockLoops& block_loops() {
  static const BlockLoops& widest = []() -> const BlockLoops& {
    const BlockLoops* last = nullptr;
    for (const BlockLoops* loops : widths_of_this_cpu().loops)
      if (loops) last = loops;
    return *last;
  }();
  return widest;
}

}  // namespace trireme::core

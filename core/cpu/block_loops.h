// Loops over blocks that lie in the first caches: products, and the softmax of attention.
//
// For widths of AVX-512, AVX2 and baseline vectors, chosen once when the process starts. Unlike
// oneDNN's gemm they take any stride, pack nothing and can be given a triangle in strips.
#pragma once

#include <cstdint>
#include <vector>

namespace trireme::core {

constexpr int64_t kStripRows = 6;      // that are summed in registers at a time
constexpr int64_t kStripColumns = 16;  // operands are padded to multiples of this

// c (m, n) = a (m, k) b (k, n), or += where `add`.
//
// a[i, j] is a[i * a_row + j * a_column]. b's rows are readable up to the next multiple of
// kStripColumns past n. Sums run over k in order.
struct BlockProduct {
  int64_t m = 0, n = 0, k = 0;
  const float* a = nullptr;
  int64_t a_row = 0, a_column = 1;
  const float* b = nullptr;
  int64_t b_row = 0;
  float* c = nullptr;
  int64_t c_row = 0;
  bool add = false;
};

// Scores of a block, (keys, queries), key k being seen by query q if k <= q + ahead. `queries` is
// a multiple of kStripColumns. Scores of pairs further apart than kStripColumns need not be set.
struct ScoreBlock {
  float* scores = nullptr;
  int64_t row = 0;
  int64_t keys = 0;
  int64_t queries = 0;
  int64_t ahead = 0;
};

struct BlockLoops {
  void (*product)(const BlockProduct& product);

  // Brings the queries' softmax forward by a block: scores become exp(score - max), 0 where the
  // query does not see the key; `max` and `sum` (queries) take the block in, and `correction`
  // (queries) is what earlier sums are to be multiplied by.
  void (*softmax)(const ScoreBlock& block, float* max, float* sum, float* correction);

  // scores become p = exp(score - log_sum_exp), 0 where unseen, and `gradients`, of the same
  // layout, p (gradient - delta).
  void (*softmax_gradient)(const ScoreBlock& block, const float* log_sum_exp, const float* delta,
                           float* gradients);

  // to (columns, rows padded) = scale * from (rows, columns) transposed, zeros in the padding.
  void (*transpose)(const float* from, int64_t from_row, int64_t rows, int64_t columns, float scale,
                    float* to, int64_t to_row);
};

// The widest of those that this CPU can run, narrowest first.
const BlockLoops& block_loops();
std::vector<const BlockLoops*> block_loops_of_this_cpu();

}  // namespace trireme::core

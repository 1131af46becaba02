#include "core/cpu/flash_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/cpu/block_loops.h"

namespace trireme::core {
namespace {

constexpr int64_t kBlock = 96;  // queries and keys: whole strips and whole column groups

int64_t padded(int64_t count) {
  return (count + kStripColumns - 1) / kStripColumns * kStripColumns;
}

// Hands out a workspace piece by piece; without one it only counts.
class Pieces {
 public:
  explicit Pieces(void* workspace) : base_(static_cast<float*>(workspace)) {}
  float* take(int64_t rows, int64_t columns) {
    float* piece = base_ ? base_ + taken_ : nullptr;
    taken_ += padded(rows * columns);
    return piece;
  }
  int64_t bytes() const { return taken_ * static_cast<int64_t>(sizeof(float)); }

 private:
  float* base_;
  int64_t taken_ = 0;
};

// One block of a head's queries and one of its keys.
struct Pair {
  int64_t q0 = 0, queries = 0;
  int64_t k0 = 0, keys = 0;
  int64_t ahead = 0;  // query q sees keys up to q + ahead of the block

  bool triangle() const { return keys > ahead + 1; }  // some query does not see some key
};

// Calls body(pair) for each block of keys that the queries from q0 on see.
template <typename Body>
void for_each_pair(const HeadShape& shape, int64_t q0, const Body& body) {
  const int64_t queries = std::min(kBlock, shape.queries - q0);
  const int64_t seen = shape.first + q0 + queries;
  for (int64_t k0 = 0; k0 < seen; k0 += kBlock)
    body(Pair{q0, queries, k0, std::min(kBlock, seen - k0), shape.first + q0 - k0});
}

// to (rows, columns padded) = scale * from, zeros in the padding.
void copy_rows(const float* from, int64_t from_row, int64_t rows, int64_t columns, float scale,
               float* to) {
  const int64_t to_row = padded(columns);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) to[r * to_row + c] = scale * from[r * from_row + c];
    std::fill(to + r * to_row + columns, to + (r + 1) * to_row, 0.0F);
  }
}

// (keys, queries) = rows (keys, dim) columns (dim, queries), where the query sees the key.
void product_of_pair(const Pair& pair, HeadRows rows, int64_t dim, const float* columns,
                     float* scores) {
  BlockProduct product{.m = pair.keys,
                       .n = padded(pair.queries),
                       .k = dim,
                       .a = rows.data,
                       .a_row = rows.stride,
                       .b = columns,
                       .b_row = kBlock,
                       .c = scores,
                       .c_row = kBlock};
  if (!pair.triangle()) return block_loops().product(product);
  for (int64_t r = 0; r < pair.keys; r += kStripRows) {
    const int64_t skip = std::max<int64_t>(0, r - pair.ahead) / kStripColumns * kStripColumns;
    product.m = std::min(kStripRows, pair.keys - r);
    product.n = padded(pair.queries) - skip;
    product.a = rows.data + r * rows.stride;
    product.b = columns + skip;
    product.c = scores + r * kBlock + skip;
    block_loops().product(product);
  }
}

// (queries, dim) (+)= scores^T (queries, keys) rows (keys, dim)
void sum_over_keys(const Pair& pair, const float* scores, const float* rows, int64_t dim, bool add,
                   float* c) {
  BlockProduct product{.m = pair.queries,
                       .n = dim,
                       .k = pair.keys,
                       .a = scores,
                       .a_row = 1,
                       .a_column = kBlock,
                       .b = rows,
                       .b_row = dim,
                       .c = c,
                       .c_row = dim,
                       .add = add};
  if (!pair.triangle()) return block_loops().product(product);
  for (int64_t r = 0; r < pair.queries; r += kStripRows) {
    product.m = std::min(kStripRows, pair.queries - r);
    product.k = std::min(pair.keys, r + product.m + pair.ahead);
    product.a = scores + r;
    product.c = c + r * dim;
    block_loops().product(product);
  }
}

// (keys, dim) (+)= scores (keys, queries) rows (queries, dim padded)
void sum_over_queries(const Pair& pair, const float* scores, const float* rows, int64_t dim,
                      bool add, HeadRowsOut c) {
  BlockProduct product{
      .n = dim, .a_row = kBlock, .b_row = padded(dim), .c_row = c.stride, .add = add};
  const int64_t strip = pair.triangle() ? kStripRows : pair.keys;
  for (int64_t r = 0; r < pair.keys; r += strip) {
    const int64_t skip = pair.triangle() ? std::max<int64_t>(0, r - pair.ahead) : 0;
    product.m = std::min(strip, pair.keys - r);
    product.k = pair.queries - skip;
    product.a = scores + r * kBlock + skip;
    product.b = rows + skip * padded(dim);
    product.c = c.data + (pair.k0 + r) * c.stride;
    block_loops().product(product);
  }
}

struct ForwardBlocks {
  float *columns, *values, *scores, *sums, *max, *total, *correction;

  ForwardBlocks(Pieces& pieces, int64_t dim)
      : columns(pieces.take(dim, kBlock)),
        values(pieces.take(kBlock, padded(dim))),
        scores(pieces.take(kBlock, kBlock)),
        sums(pieces.take(kBlock, padded(dim))),
        max(pieces.take(1, kBlock)),
        total(pieces.take(1, kBlock)),
        correction(pieces.take(1, kBlock)) {}
};

ScoreBlock score_block(const Pair& pair, float* scores) {
  return {.scores = scores,
          .row = kBlock,
          .keys = pair.keys,
          .queries = padded(pair.queries),
          .ahead = pair.ahead};
}

void scale_rows(const float* factors, int64_t rows, int64_t columns, float* x) {
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c) x[r * columns + c] *= factors[r];
}

struct BackwardBlocks {
  float *q_columns, *dy_columns, *q_rows, *dy_rows, *k_rows, *dq, *scores, *gradients;
  float *log_sum_exp, *delta;

  BackwardBlocks(Pieces& pieces, int64_t dim)
      : q_columns(pieces.take(dim, kBlock)),
        dy_columns(pieces.take(dim, kBlock)),
        q_rows(pieces.take(kBlock, padded(dim))),
        dy_rows(pieces.take(kBlock, padded(dim))),
        k_rows(pieces.take(kBlock, padded(dim))),
        dq(pieces.take(kBlock, padded(dim))),
        scores(pieces.take(kBlock, kBlock)),
        gradients(pieces.take(kBlock, kBlock)),
        log_sum_exp(pieces.take(1, kBlock)),
        delta(pieces.take(1, kBlock)) {}
};

// Lanes side by side, so that the compiler need not reorder the sum to vectorise it.
float dot(const float* a, const float* b, int64_t n) {
  constexpr int64_t kLanes = 8;
  float lanes[kLanes] = {};
  const int64_t whole = n / kLanes * kLanes;
  for (int64_t i = 0; i < whole; i += kLanes)
    for (int64_t k = 0; k < kLanes; ++k) lanes[k] += a[i + k] * b[i + k];
  for (int64_t i = whole; i < n; ++i) lanes[i - whole] += a[i] * b[i];
  float sum = 0;
  for (float lane : lanes) sum += lane;
  return sum;
}

// What all pairs of the queries from q0 on need.
void load_queries(const HeadShape& shape, int64_t q0, HeadRows q, HeadRows y,
                  const float* log_sum_exp, HeadRows dy, const BackwardBlocks& blocks) {
  const int64_t queries = std::min(kBlock, shape.queries - q0), dim = shape.head_dim;
  const float *q_rows = q.data + q0 * q.stride, *dy_rows = dy.data + q0 * dy.stride;
  const auto transpose = block_loops().transpose;
  transpose(q_rows, q.stride, queries, dim, shape.scale, blocks.q_columns, kBlock);
  transpose(dy_rows, dy.stride, queries, dim, 1, blocks.dy_columns, kBlock);
  copy_rows(q_rows, q.stride, queries, dim, shape.scale, blocks.q_rows);
  copy_rows(dy_rows, dy.stride, queries, dim, 1, blocks.dy_rows);
  std::fill_n(blocks.log_sum_exp, kBlock, 0.0F);
  std::fill_n(blocks.delta, kBlock, 0.0F);
  for (int64_t i = 0; i < queries; ++i) {
    blocks.log_sum_exp[i] = log_sum_exp[q0 + i];
    blocks.delta[i] = dot(dy_rows + i * dy.stride, y.data + (q0 + i) * y.stride, dim);
  }
}

}  // namespace

int64_t flash_forward_bytes(int64_t head_dim) {
  Pieces pieces(nullptr);
  ForwardBlocks(pieces, head_dim);
  return pieces.bytes();
}

int64_t flash_backward_bytes(int64_t head_dim) {
  Pieces pieces(nullptr);
  BackwardBlocks(pieces, head_dim);
  return pieces.bytes();
}

void flash_forward(const HeadShape& shape, HeadRows q, HeadRows k, HeadRows v, HeadRowsOut y,
                   float* log_sum_exp, void* workspace) {
  const int64_t dim = shape.head_dim, width = padded(dim);
  Pieces pieces(workspace);
  const ForwardBlocks blocks(pieces, dim);
  for (int64_t q0 = 0; q0 < shape.queries; q0 += kBlock) {
    const int64_t queries = std::min(kBlock, shape.queries - q0);
    block_loops().transpose(q.data + q0 * q.stride, q.stride, queries, dim, shape.scale,
                            blocks.columns, kBlock);
    std::fill_n(blocks.max, kBlock, -std::numeric_limits<float>::infinity());
    std::fill_n(blocks.total, kBlock, 0.0F);
    for_each_pair(shape, q0, [&](const Pair& pair) {
      const float* values = v.data + pair.k0 * v.stride;
      product_of_pair(pair, {k.data + pair.k0 * k.stride, k.stride}, dim, blocks.columns,
                      blocks.scores);
      block_loops().softmax(score_block(pair, blocks.scores), blocks.max, blocks.total,
                            blocks.correction);
      if (pair.k0 > 0) scale_rows(blocks.correction, queries, width, blocks.sums);
      copy_rows(values, v.stride, pair.keys, dim, 1, blocks.values);
      sum_over_keys(pair, blocks.scores, blocks.values, width, pair.k0 > 0, blocks.sums);
    });
    for (int64_t i = 0; i < queries; ++i) {
      const float inverse = 1 / blocks.total[i];
      for (int64_t c = 0; c < dim; ++c)
        y.data[(q0 + i) * y.stride + c] = blocks.sums[i * width + c] * inverse;
      if (log_sum_exp) log_sum_exp[q0 + i] = blocks.max[i] + std::log(blocks.total[i]);
    }
  }
}

void flash_backward(const HeadShape& shape, HeadRows q, HeadRows k, HeadRows v, HeadRows y,
                    const float* log_sum_exp, HeadRows dy, const HeadGradients& gradients,
                    void* workspace) {
  const int64_t dim = shape.head_dim, width = padded(dim);
  Pieces pieces(workspace);
  const BackwardBlocks blocks(pieces, dim);
  for (int64_t q0 = 0; q0 < shape.queries; q0 += kBlock) {
    load_queries(shape, q0, q, y, log_sum_exp, dy, blocks);
    for_each_pair(shape, q0, [&](const Pair& pair) {
      copy_rows(k.data + pair.k0 * k.stride, k.stride, pair.keys, dim, 1, blocks.k_rows);
      product_of_pair(pair, {blocks.k_rows, width}, dim, blocks.q_columns, blocks.scores);
      product_of_pair(pair, {v.data + pair.k0 * v.stride, v.stride}, dim, blocks.dy_columns,
                      blocks.gradients);
      block_loops().softmax_gradient(score_block(pair, blocks.scores), blocks.log_sum_exp,
                                     blocks.delta, blocks.gradients);
      // The first queries to see a block of keys are those of the same positions.
      const bool add = gradients.accumulate || pair.k0 < q0;
      sum_over_queries(pair, blocks.scores, blocks.dy_rows, dim, add, gradients.dv);
      sum_over_queries(pair, blocks.gradients, blocks.q_rows, dim, add, gradients.dk);
      sum_over_keys(pair, blocks.gradients, blocks.k_rows, width, pair.k0 > 0, blocks.dq);
    });
    for (int64_t i = 0; i < std::min(kBlock, shape.queries - q0); ++i)
      for (int64_t c = 0; c < dim; ++c)
        gradients.dq.data[(q0 + i) * gradients.dq.stride + c] =
            shape.scale * blocks.dq[i * width + c];
  }
}

}  // namespace trireme::core

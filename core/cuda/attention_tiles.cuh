// Products of 64 rows by 64 rows through shared memory, and the softmax forward of attention.
//
// A block of 256 threads makes a tile of 64 x 64: thread (ty, tx) of 16 x 16 owns rows 4 ty + i and
// columns tx + 16 j of it, so that a row's threads are half a warp. Head dimensions are worked off
// in chunks of 32; a thread holds columns tx and tx + 16 of every chunk of what it sums up.
// Sums run in a fixed order. FMAs are written out: nvcc is told to fuse nothing by itself.
#pragma once

#include <type_traits>

#include "core/cuda/launch.h"
#include "core/cuda/reduce.cuh"
#include "core/kernels/math.h"
#include "core/ops/attention_shape.h"

namespace trireme::core {

constexpr int kTile = 64;
constexpr int kChunk = 32;
constexpr int kTileThreads = 256;
constexpr int kOwn = 4;                      // rows, and columns, of a thread's part of a tile
constexpr int kChunkRow = kChunk + 1;        // a row apart from the next by one bank
constexpr int kTileRow = kTile + 1;          // likewise
constexpr float kUnseen = -3.402823466e38f;  // finite, so that differences are never NaN

// Blocks that share a multiprocessor's registers: two where heads are narrow.
constexpr int blocks_at_once(int chunks) { return chunks <= 2 ? 2 : 1; }

// `count` rows of a head; rows past them read as zeros.
struct TileRows {
  const float* data;
  int64_t stride;
  int64_t count;

  __device__ TileRows from(int64_t row) const { return {data + row * stride, stride, count - row}; }
};

__device__ inline int tile_row(int i) { return kOwn * (static_cast<int>(threadIdx.x) / 16) + i; }
__device__ inline int tile_column(int j) { return static_cast<int>(threadIdx.x) % 16 + 16 * j; }

// chunk (64, 32) = rows[0, 64) at dimensions first .. first + 31
template <typename Chunk>
__device__ void load_chunk(Chunk& chunk, const TileRows& rows, int first, int dim) {
  const int d = static_cast<int>(threadIdx.x) % kChunk;
  for (int r = static_cast<int>(threadIdx.x) / kChunk; r < kTile; r += kTileThreads / kChunk)
    chunk[r * kChunkRow + d] =
        r < rows.count && first + d < dim ? rows.data[r * rows.stride + first + d] : 0.0f;
}

// tile (64, 64) = a (64, dim) b (64, dim)^T
template <typename Chunk>
__device__ void multiply_rows(Chunk& a_chunk, Chunk& b_chunk, const TileRows& a, const TileRows& b,
                              int dim, float (&tile)[kOwn][kOwn]) {
  for (int i = 0; i < kOwn; ++i)
    for (int j = 0; j < kOwn; ++j) tile[i][j] = 0;
  TRIREME_NO_UNROLL
  for (int first = 0; first < dim; first += kChunk) {
    __syncthreads();  // readers of what the chunks held are done
    load_chunk(a_chunk, a, first, dim);
    load_chunk(b_chunk, b, first, dim);
    __syncthreads();
    TRIREME_UNROLL_8
    for (int d = 0; d < kChunk; ++d) {
      float x[kOwn], y[kOwn];
      for (int i = 0; i < kOwn; ++i) x[i] = a_chunk[tile_row(i) * kChunkRow + d];
      for (int j = 0; j < kOwn; ++j) y[j] = b_chunk[tile_column(j) * kChunkRow + d];
      for (int i = 0; i < kOwn; ++i)
        for (int j = 0; j < kOwn; ++j) tile[i][j] = fmaf(x[i], y[j], tile[i][j]);
    }
  }
}

// A thread's part of (64, 32 kChunks): columns tx and tx + 16 of each chunk.
template <int kChunks>
struct RowSums {
  float part[kOwn][2 * kChunks];

  __device__ RowSums() {
    for (int i = 0; i < kOwn; ++i)
      for (int c = 0; c < 2 * kChunks; ++c) part[i][c] = 0;
  }

  // part += weights (64, 64) rows (64, dimensions from first_dim on). The weights are in place
  // after the first barrier in here.
  template <typename Weights, typename Chunk>
  __device__ void add(Weights& weights, Chunk& chunk, const TileRows& rows, int dim,
                      int first_dim = 0) {
    TRIREME_UNROLL
    for (int c = 0; c < kChunks; ++c) {
      __syncthreads();
      load_chunk(chunk, rows, first_dim + c * kChunk, dim);
      __syncthreads();
      TRIREME_UNROLL_8
      for (int k = 0; k < kTile; ++k) {
        const float low = chunk[k * kChunkRow + tile_column(0)];
        const float high = chunk[k * kChunkRow + tile_column(1)];
        for (int i = 0; i < kOwn; ++i) {
          const float weight = weights[tile_row(i) * kTileRow + k];
          part[i][2 * c] = fmaf(weight, low, part[i][2 * c]);
          part[i][2 * c + 1] = fmaf(weight, high, part[i][2 * c + 1]);
        }
      }
    }
  }

  // to[row, d] = factor[i] * part for the rows and dimensions that there are.
  __device__ void store(float* to, int64_t stride, int64_t rows, int dim,
                        const float (&factor)[kOwn], int first_dim = 0) const {
    for (int i = 0; i < kOwn; ++i)
      for (int c = 0; c < 2 * kChunks; ++c) {
        const int d = first_dim + tile_column(c);
        if (tile_row(i) < rows && d < dim) to[tile_row(i) * stride + d] = factor[i] * part[i][c];
      }
  }
};

template <typename Weights>
__device__ void store_weights(Weights& weights, const float (&tile)[kOwn][kOwn]) {
  for (int i = 0; i < kOwn; ++i)
    for (int j = 0; j < kOwn; ++j) weights[tile_row(i) * kTileRow + tile_column(j)] = tile[i][j];
}

// op over the 16 threads that share a tile's rows, in each of them.
template <typename Op>
__device__ float reduce_tile_row(float v, const Op& op) {
  for (int lanes = 8; lanes > 0; lanes /= 2) v = op(v, shuffle_xor(v, lanes));
  return v;
}

struct Larger {
  __device__ float operator()(float a, float b) const { return a > b ? a : b; }
};

// What a forward kernel reads and writes. Keys and values lie in qkv itself, or in a cache.
struct ForwardOperands {
  const float *q, *k, *v;  // head 0 of sample 0
  int64_t q_row, kv_row;
  int64_t q_sample, kv_sample;  // numbers from one sample to the next
  float* y;
  float* log_sum_exp;      // or null
  const int32_t* held;     // positions before the first query, for each sample; null: none
  int64_t most_positions;  // that the keys have room for
};

// Calls body(kChunks as a constant) for heads of up to 32 kChunks dimensions.
template <typename Body>
void with_chunks(int64_t head_dim, const Body& body) {
  if (head_dim <= 2 * kChunk)
    body(std::integral_constant<int, 2>{});
  else if (head_dim <= 4 * kChunk)
    body(std::integral_constant<int, 4>{});
  else
    body(std::integral_constant<int, 8>{});
}
static_assert(kWidestGpuHead == 8 * kChunk);

inline int64_t tiles_of(int64_t positions) { return (positions + kTile - 1) / kTile; }

// One block for 64 queries of one head: all their keys, 64 at a time.
template <int kChunks>
__global__ void __launch_bounds__(kTileThreads, blocks_at_once(kChunks))
    attention_forward(AttentionShape shape, ForwardOperands in, int64_t tiles) {
  TRIREME_SHARED(float, a_chunk, kTile* kChunkRow);
  TRIREME_SHARED(float, b_chunk, kTile* kChunkRow);
  TRIREME_SHARED(float, weights, kTile* kTileRow);
  // The longest rows go first, so that the short ones fill the gaps at the end.
  const int64_t tile = tiles - 1 - blockIdx.x % tiles, head = blockIdx.x / tiles % shape.heads;
  const int64_t b = blockIdx.x / tiles / shape.heads, first_query = tile * kTile;
  const int dim = static_cast<int>(shape.head_dim);
  const int64_t held = in.held == nullptr ? 0 : in.held[b];
  float* y = in.y + (b * shape.positions + first_query) * shape.out_row() + head * dim;
  const int64_t queries = shape.positions - first_query;
  RowSums<kChunks> sums;
  if (held < 0 || held > in.most_positions - shape.positions) {
    const float nan[kOwn] = {__builtin_nanf(""), __builtin_nanf(""), __builtin_nanf(""),
                             __builtin_nanf("")};
    return sums.store(y, shape.out_row(), queries, dim, nan);
  }
  const int64_t kv_head = head / shape.group() * dim, keys = held + shape.positions;
  const TileRows q{in.q + b * in.q_sample + first_query * in.q_row + head * dim, in.q_row, queries};
  const TileRows k{in.k + b * in.kv_sample + kv_head, in.kv_row, keys};
  const TileRows v{in.v + b * in.kv_sample + kv_head, in.kv_row, keys};

  float max[kOwn], sum[kOwn], scores[kOwn][kOwn];
  for (int i = 0; i < kOwn; ++i) max[i] = kUnseen, sum[i] = 0;
  const int64_t last_query = held + first_query + (queries < kTile ? queries : kTile) - 1;
  TRIREME_NO_UNROLL
  for (int64_t first_key = 0; first_key <= last_query; first_key += kTile) {
    multiply_rows(a_chunk, b_chunk, q, k.from(first_key), dim, scores);
    for (int i = 0; i < kOwn; ++i) {
      const int64_t query = held + first_query + tile_row(i);
      float top = max[i];
      for (int j = 0; j < kOwn; ++j) {
        const bool seen = first_key + tile_column(j) <= query;
        scores[i][j] = seen ? shape.scale * scores[i][j] : kUnseen;
        top = Larger{}(scores[i][j], top);
      }
      top = reduce_tile_row(top, Larger{});
      const float correction = fast_exp(max[i] - top);
      max[i] = top;
      sum[i] *= correction;
      for (int j = 0; j < kOwn; ++j) {
        scores[i][j] = fast_exp(scores[i][j] - top);
        sum[i] += scores[i][j];
      }
      for (int c = 0; c < 2 * kChunks; ++c) sums.part[i][c] *= correction;
    }
    store_weights(weights, scores);  // the last ones' readers are done: a barrier lies between
    sums.add(weights, b_chunk, v.from(first_key), dim);
  }
  float inverse[kOwn];
  for (int i = 0; i < kOwn; ++i) {
    const float total = reduce_tile_row(sum[i], Plus{});
    inverse[i] = 1.0f / total;
    if (in.log_sum_exp != nullptr && tile_column(0) == 0 && tile_row(i) < queries)
      in.log_sum_exp[(b * shape.heads + head) * shape.positions + first_query + tile_row(i)] =
          max[i] + logf(total);
  }
  sums.store(y, shape.out_row(), queries, dim, inverse);
}

inline void launch_attention_forward(const AttentionShape& shape, const ForwardOperands& operands,
                                     Stream stream) {
  const int64_t tiles = tiles_of(shape.positions);
  with_chunks(shape.head_dim, [&](auto chunks) {
    launch(attention_forward<decltype(chunks)::value>,
           dim3(static_cast<unsigned>(shape.batch * shape.heads * tiles)), dim3(kTileThreads),
           stream, shape, operands, tiles);
  });
}

}  // namespace trireme::core

#include "core/cuda/attention_tiles.cuh"
// attention_tiles.cuh comes first: it says what language this file is in.
#include "core/cuda/function_kernel.h"
#include "core/ops/causal_attention.h"

namespace trireme::core {
namespace {

constexpr int kMostSums = 4;  // chunks of which a thread holds two sums

struct BackwardOperands {
  const float *qkv, *y, *log_sum_exp, *dy;
  float* delta;  // (B, heads, S): rowsum(dy y)
  float* dqkv;
};

// Rows of one head from a position on, and of what belongs to them.
struct HeadTiles {
  TileRows q, k, v, dy;
  const float *log_sum_exp, *delta;  // of position 0
};

__device__ HeadTiles tiles_of_head(const AttentionShape& shape, const BackwardOperands& in,
                                   int64_t b, int64_t head) {
  const int64_t row = shape.qkv_row(), kv = head / shape.group() * shape.head_dim;
  const float* qkv = in.qkv + b * shape.positions * row;
  const float* dy = in.dy + b * shape.positions * shape.out_row();
  const int64_t rows = (b * shape.heads + head) * shape.positions;
  return {.q = {qkv + head * shape.head_dim, row, shape.positions},
          .k = {qkv + shape.key_offset() + kv, row, shape.positions},
          .v = {qkv + shape.value_offset() + kv, row, shape.positions},
          .dy = {dy + head * shape.head_dim, shape.out_row(), shape.positions},
          .log_sum_exp = in.log_sum_exp + rows,
          .delta = in.delta + rows};
}

// delta[b, h, s] = sum_d dy y; a warp a row.
__global__ void __launch_bounds__(kTileThreads)
    row_sums(AttentionShape shape, BackwardOperands in, int64_t rows) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int64_t warps = int64_t{gridDim.x} * kTileThreads / 32;
  for (int64_t row = (int64_t{blockIdx.x} * kTileThreads + threadIdx.x) / 32; row < rows;
       row += warps) {
    const int64_t s = row % shape.positions, head = row / shape.positions % shape.heads;
    const int64_t b = row / shape.positions / shape.heads;
    const int64_t first = (b * shape.positions + s) * shape.out_row() + head * shape.head_dim;
    float sum = 0;
    for (int64_t d = lane; d < shape.head_dim; d += 32)
      sum = fmaf(in.y[first + d], in.dy[first + d], sum);
    sum = warp_reduce(sum, Plus{});
    if (lane == 0) in.delta[row] = sum;
  }
}

// p = exp(scale score - log_sum_exp), 0 where query < key or there is no such query.
__device__ float probability(float scaled, int64_t query, int64_t key, int64_t positions,
                             const float* log_sum_exp) {
  return key <= query && query < positions ? fast_exp(scaled - log_sum_exp[query]) : 0.0f;
}

// One block for 64 keys of one key head, and of the widest heads half their dimensions, since two
// rows of sums must fit into registers: all its query heads, all queries from the keys on.
template <int kChunks>
__global__ void __launch_bounds__(kTileThreads, blocks_at_once(kChunks))
    key_value_gradients(AttentionShape shape, BackwardOperands in, int64_t tiles) {
  TRIREME_SHARED(float, a_chunk, kTile* kChunkRow);
  TRIREME_SHARED(float, b_chunk, kTile* kChunkRow);
  TRIREME_SHARED(float, weights, kTile* kTileRow);
  constexpr int kPart = kChunks < kMostSums ? kChunks : kMostSums;
  const int first_dim = static_cast<int>(blockIdx.y) * kPart * kChunk;
  const int64_t first_key = blockIdx.x % tiles * kTile;
  const int64_t kv_head = blockIdx.x / tiles % shape.kv_heads;
  const int64_t b = blockIdx.x / tiles / shape.kv_heads;
  const int dim = static_cast<int>(shape.head_dim);
  RowSums<kPart> dk, dv;
  float p[kOwn][kOwn], ds[kOwn][kOwn];
  TRIREME_NO_UNROLL
  for (int64_t i = 0; i < shape.group(); ++i) {
    const HeadTiles head = tiles_of_head(shape, in, b, kv_head * shape.group() + i);
    TRIREME_NO_UNROLL
    for (int64_t first = first_key; first < shape.positions; first += kTile) {
      multiply_rows(a_chunk, b_chunk, head.k.from(first_key), head.q.from(first), dim, p);
      for (int r = 0; r < kOwn; ++r)
        for (int c = 0; c < kOwn; ++c)
          p[r][c] = probability(shape.scale * p[r][c], first + tile_column(c),
                                first_key + tile_row(r), shape.positions, head.log_sum_exp);
      store_weights(weights, p);  // the last ones' readers are done: a barrier lies between
      dv.add(weights, b_chunk, head.dy.from(first), dim, first_dim);
      multiply_rows(a_chunk, b_chunk, head.v.from(first_key), head.dy.from(first), dim, ds);
      for (int r = 0; r < kOwn; ++r)
        for (int c = 0; c < kOwn; ++c) {
          const int64_t query = first + tile_column(c);
          const float delta = query < shape.positions ? head.delta[query] : 0.0f;
          ds[r][c] = shape.scale * p[r][c] * (ds[r][c] - delta);
        }
      store_weights(weights, ds);
      dk.add(weights, b_chunk, head.q.from(first), dim, first_dim);
    }
  }
  const float one[kOwn] = {1, 1, 1, 1};
  const int64_t keys = shape.positions - first_key, row = shape.qkv_row();
  float* to = in.dqkv + (b * shape.positions + first_key) * row + kv_head * dim;
  dk.store(to + shape.key_offset(), row, keys, dim, one, first_dim);
  dv.store(to + shape.value_offset(), row, keys, dim, one, first_dim);
}

// One block for 64 queries of one head: all keys up to them.
template <int kChunks>
__global__ void __launch_bounds__(kTileThreads, blocks_at_once(kChunks))
    query_gradients(AttentionShape shape, BackwardOperands in, int64_t tiles) {
  TRIREME_SHARED(float, a_chunk, kTile* kChunkRow);
  TRIREME_SHARED(float, b_chunk, kTile* kChunkRow);
  TRIREME_SHARED(float, weights, kTile* kTileRow);
  const int64_t first_query = (tiles - 1 - blockIdx.x % tiles) * kTile;
  const int64_t h = blockIdx.x / tiles % shape.heads, b = blockIdx.x / tiles / shape.heads;
  const int dim = static_cast<int>(shape.head_dim);
  const HeadTiles head = tiles_of_head(shape, in, b, h);
  RowSums<kChunks> dq;
  float p[kOwn][kOwn], ds[kOwn][kOwn];
  TRIREME_NO_UNROLL
  for (int64_t first = 0; first <= first_query; first += kTile) {
    multiply_rows(a_chunk, b_chunk, head.q.from(first_query), head.k.from(first), dim, p);
    multiply_rows(a_chunk, b_chunk, head.dy.from(first_query), head.v.from(first), dim, ds);
    for (int r = 0; r < kOwn; ++r) {
      const int64_t query = first_query + tile_row(r);
      const float delta = query < shape.positions ? head.delta[query] : 0.0f;
      for (int c = 0; c < kOwn; ++c)
        ds[r][c] = probability(shape.scale * p[r][c], query, first + tile_column(c),
                               shape.positions, head.log_sum_exp) *
                   (ds[r][c] - delta);
    }
    store_weights(weights, ds);
    dq.add(weights, b_chunk, head.k.from(first), dim);
  }
  const float scale[kOwn] = {shape.scale, shape.scale, shape.scale, shape.scale};
  float* to = in.dqkv + (b * shape.positions + first_query) * shape.qkv_row() + h * dim;
  dq.store(to, shape.qkv_row(), shape.positions - first_query, dim, scale);
}

void launch_backward(const AttentionShape& shape, const BackwardOperands& operands, Stream stream) {
  const int64_t rows = shape.batch * shape.heads * shape.positions;
  const int64_t tiles = tiles_of(shape.positions);
  launch(row_sums, blocks_for(rows, kTileThreads / 32), dim3(kTileThreads), stream, shape, operands,
         rows);
  with_chunks(shape.head_dim, [&](auto chunks) {
    constexpr int kChunks = decltype(chunks)::value;
    launch(key_value_gradients<kChunks>,
           dim3(static_cast<unsigned>(shape.batch * shape.kv_heads * tiles),
                kChunks <= kMostSums ? 1 : kChunks / kMostSums),
           dim3(kTileThreads), stream, shape, operands, tiles);
    launch(query_gradients<kChunks>, dim3(static_cast<unsigned>(shape.batch * shape.heads * tiles)),
           dim3(kTileThreads), stream, shape, operands, tiles);
  });
}

}  // namespace

std::unique_ptr<Kernel> CausalAttention::cuda_kernel(const NodeTypes& types,
                                                     const KernelContext&) const {
  const AttentionShape shape = attention_shape(type(), options_, types.inputs[0]);
  expect_gpu_head(type(), shape);
  return make_function_kernel([shape](const KernelArgs& args) {
    const auto* qkv = args.in<float>(0);
    launch_attention_forward(shape,
                             {.q = qkv,
                              .k = qkv + shape.key_offset(),
                              .v = qkv + shape.value_offset(),
                              .q_row = shape.qkv_row(),
                              .kv_row = shape.qkv_row(),
                              .q_sample = shape.positions * shape.qkv_row(),
                              .kv_sample = shape.positions * shape.qkv_row(),
                              .y = args.out<float>(0),
                              .log_sum_exp = args.out<float>(1),
                              .held = nullptr,
                              .most_positions = shape.positions},
                             args.stream);
  });
}

std::unique_ptr<Kernel> CausalAttentionGrad::cuda_kernel(const NodeTypes& types,
                                                         const KernelContext&) const {
  const AttentionShape shape = attention_shape(type(), options_, types.inputs[0]);
  expect_gpu_head(type(), shape);
  return make_function_kernel([shape](const KernelArgs& args) {
    launch_backward(shape,
                    {.qkv = args.in<float>(0),
                     .y = args.in<float>(1),
                     .log_sum_exp = args.in<float>(2),
                     .dy = args.in<float>(3),
                     .delta = static_cast<float*>(args.workspace),
                     .dqkv = args.out<float>(0)},
                    args.stream);
  });
}

}  // namespace trireme::core

#include "core/cuda/attention_tiles.cuh"
// attention_tiles.cuh comes first: it says what language this file is in.
#include "core/cuda/function_kernel.h"
#include "core/ops/cached_attention.h"

namespace trireme::core {
namespace {

// The new keys and values, which lie side by side in a row of qkv as in one of the cache.
__global__ void __launch_bounds__(256)
    extend(AttentionShape shape, const float* qkv, const int32_t* held, int64_t max_positions,
           float* cache) {
  const int64_t row = blockIdx.x, b = row / shape.positions;
  if (held[b] < 0 || held[b] > max_positions - shape.positions) return;
  const float* from = qkv + row * shape.qkv_row() + shape.key_offset();
  const int64_t position = held[b] + row % shape.positions;
  float* to = cache + (b * max_positions + position) * shape.kv_row();
  for (int64_t i = threadIdx.x; i < shape.kv_row(); i += blockDim.x) to[i] = from[i];
}

}  // namespace

std::unique_ptr<Kernel> CachedAttention::cuda_kernel(const NodeTypes& types,
                                                     const KernelContext&) const {
  const AttentionShape shape = attention_shape(type(), options_, types.inputs[0]);
  expect_gpu_head(type(), shape);
  return make_function_kernel([shape, max_positions = max_positions_](const KernelArgs& args) {
    const auto* qkv = args.in<float>(0);
    auto* cache = const_cast<float*>(args.in<float>(1));  // the op's one side effect
    const auto* held = args.in<int32_t>(2);
    launch(extend, dim3(static_cast<unsigned>(shape.batch * shape.positions)), dim3(256),
           args.stream, shape, qkv, held, max_positions, cache);
    launch_attention_forward(shape,
                             {.q = qkv,
                              .k = cache,
                              .v = cache + shape.kv_heads * shape.head_dim,
                              .q_row = shape.qkv_row(),
                              .kv_row = shape.kv_row(),
                              .q_sample = shape.positions * shape.qkv_row(),
                              .kv_sample = max_positions * shape.kv_row(),
                              .y = args.out<float>(0),
                              .log_sum_exp = nullptr,
                              .held = held,
                              .most_positions = max_positions},
                             args.stream);
  });
}

}  // namespace trireme::core

#include <algorithm>
#include <limits>

#include "core/cpu/flash_attention.h"
#include "core/ops/attention_workers.h"
#include "core/ops/cached_attention.h"
#include "core/ops/cpu_kernel.h"

namespace trireme::core {
namespace {

struct Cache {
  AttentionShape shape;
  int64_t max_positions;

  bool fits(int64_t held) const { return held >= 0 && held <= max_positions - shape.positions; }
  float* row(float* cache, int64_t b, int64_t position) const {
    return cache + (b * max_positions + position) * shape.kv_row();
  }
};

// The new keys and values of sample b, which lie side by side in qkv as in the cache.
void extend(const Cache& cache, const float* qkv, int64_t b, int64_t held, float* rows) {
  const AttentionShape& shape = cache.shape;
  for (int64_t s = 0; s < shape.positions; ++s) {
    const float* from = qkv + (b * shape.positions + s) * shape.qkv_row() + shape.key_offset();
    std::copy_n(from, shape.kv_row(), cache.row(rows, b, held + s));
  }
}

void attend(const Cache& cache, const float* qkv, float* rows, int64_t b, int64_t h, int64_t held,
            float* y, void* workspace) {
  const AttentionShape& shape = cache.shape;
  const float* keys = cache.row(rows, b, 0) + h / shape.group() * shape.head_dim;
  const int64_t sample = b * shape.positions, head = h * shape.head_dim;
  flash_forward(
      {.queries = shape.positions, .first = held, .head_dim = shape.head_dim, .scale = shape.scale},
      {qkv + sample * shape.qkv_row() + head, shape.qkv_row()}, {keys, shape.kv_row()},
      {keys + shape.kv_heads * shape.head_dim, shape.kv_row()},
      {y + sample * shape.out_row() + head, shape.out_row()}, nullptr, workspace);
}

}  // namespace

std::unique_ptr<Kernel> CachedAttention::cpu_kernel(const NodeTypes& types,
                                                    const KernelContext& context) const {
  const AttentionShape shape = attention_shape(type(), options_, types.inputs[0]);
  return make_kernel(
      [cache = Cache{shape, max_positions_}, threads = context.threads](const KernelArgs& args) {
        const AttentionShape& shape = cache.shape;
        const auto* qkv = args.in<float>(0);
        auto* rows = const_cast<float*>(args.in<float>(1));  // the op's one side effect
        const auto* held = args.in<int32_t>(2);
        auto* y = args.out<float>(0);
        for (int64_t b = 0; b < shape.batch; ++b) {
          const int64_t sample_numbers = shape.positions * shape.out_row();
          if (cache.fits(held[b]))
            extend(cache, qkv, b, held[b], rows);
          else
            std::fill_n(y + b * sample_numbers, sample_numbers,
                        std::numeric_limits<float>::quiet_NaN());
        }
        for_each_head(threads, shape.batch * shape.heads, args.workspace,
                      flash_forward_bytes(shape.head_dim), [&](int64_t task, void* workspace) {
                        const int64_t b = task / shape.heads, h = task % shape.heads;
                        if (cache.fits(held[b]))
                          attend(cache, qkv, rows, b, h, held[b], y, workspace);
                      });
      });
}

}  // namespace trireme::core

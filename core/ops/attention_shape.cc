#include "core/ops/attention_shape.h"

#include <cmath>

#include "core/base/error.h"
#include "core/ops/expect.h"

namespace trireme::core {

AttentionShape attention_shape(std::string_view op, const AttentionOptions& options,
                               const ValueType& qkv) {
  const auto& [heads, kv_heads, head_dim, scale] = options;
  if (heads < 1 || kv_heads < 1 || head_dim < 1)
    fail("[{}] expects heads, kv_heads and head_dim of at least 1, got {}, {} and {}", op, heads,
         kv_heads, head_dim);
  if (heads % kv_heads != 0)
    fail("[{}] expects kv_heads to divide the {} heads, got {}", op, heads, kv_heads);
  expect_dtype(op, "qkv", qkv, DType::kF32);
  const int64_t row = (heads + 2 * kv_heads) * head_dim;
  if (qkv.shape.rank() != 3 || qkv.shape[-1] != row || qkv.elements() == 0)
    fail("[{}] expects qkv f32(B, S, {}) for {} heads, {} kv_heads and head_dim {}, got {}", op,
         row, heads, kv_heads, head_dim, qkv.str());
  return {.batch = qkv.shape[0],
          .positions = qkv.shape[1],
          .heads = heads,
          .kv_heads = kv_heads,
          .head_dim = head_dim,
          .scale = scale != 0 ? scale : 1 / std::sqrt(static_cast<float>(head_dim))};
}

void expect_gpu_head(std::string_view op, const AttentionShape& shape) {
  if (shape.head_dim > kWidestGpuHead)
    fail("[{}] expects head_dim of at most {} on a GPU, got {}", op, kWidestGpuHead,
         shape.head_dim);
}

}  // namespace trireme::core

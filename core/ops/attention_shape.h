// What the attention ops share: heads, and where queries, keys and values lie in a row.
//
// A row of `qkv` is one position: all query heads, then all key heads, then all value heads, each
// of head_dim numbers. Query head h attends to key and value head h / (heads / kv_heads).
// Source: Ainslie et al., GQA: Training Generalized Multi-Query Transformer Models (2023).
#pragma once

#include <cstdint>
#include <string_view>

#include "core/base/host_device.h"
#include "core/base/shape.h"

namespace trireme::core {

struct AttentionOptions {
  int64_t heads = 1;
  int64_t kv_heads = 1;
  int64_t head_dim = 1;
  float scale = 0;  // of the scores; 0: 1 / sqrt(head_dim)

  bool operator==(const AttentionOptions&) const = default;
};

struct AttentionShape {
  int64_t batch = 0;
  int64_t positions = 0;
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  float scale = 0;

  TRIREME_HOST_DEVICE int64_t group() const {
    return heads / kv_heads;
  }  // query heads to a key head
  TRIREME_HOST_DEVICE int64_t out_row() const { return heads * head_dim; }  // numbers in a row of y
  TRIREME_HOST_DEVICE int64_t kv_row() const {
    return 2 * kv_heads * head_dim;
  }  // in a row of a cache
  TRIREME_HOST_DEVICE int64_t qkv_row() const { return out_row() + kv_row(); }
  TRIREME_HOST_DEVICE int64_t key_offset() const {
    return out_row();
  }  // of key head 0 in a row of qkv
  TRIREME_HOST_DEVICE int64_t value_offset() const { return out_row() + kv_heads * head_dim; }
};

// Throws InvalidArgument "[op] expects ..., got ..." unless heads, kv_heads and head_dim are
// positive, kv_heads divides heads, and qkv is f32 (B, S, (heads + 2 kv_heads) head_dim), not
// empty.
AttentionShape attention_shape(std::string_view op, const AttentionOptions& options,
                               const ValueType& qkv);

// The CUDA kernels hold a row of sums in registers. Throws InvalidArgument for wider heads.
constexpr int64_t kWidestGpuHead = 256;
void expect_gpu_head(std::string_view op, const AttentionShape& shape);

// Workers of the CPU's kernels that the workspace has room for.
constexpr int64_t kMostAttentionWorkers = 64;

}  // namespace trireme::core

// Attention of one head on the CPU, in blocks that stay in the caches.
//
// Within a block scores are held transposed, (keys, queries): keys are read as they lie, and the
// softmax runs down columns, many queries side by side.
// Source: Dao, FlashAttention-2 (2023), algorithms 1 and 2.
#pragma once

#include <cstdint>

namespace trireme::core {

// Rows of head_dim numbers, `stride` numbers apart.
struct HeadRows {
  const float* data = nullptr;
  int64_t stride = 0;
};

struct HeadRowsOut {
  float* data = nullptr;
  int64_t stride = 0;
};

// Query i attends to keys 0 .. first + i.
struct HeadShape {
  int64_t queries = 0;
  int64_t first = 0;
  int64_t head_dim = 0;
  float scale = 1;
};

// y (queries, head_dim); log_sum_exp (queries), or null. `workspace`: flash_forward_bytes, 64-byte
// aligned.
void flash_forward(const HeadShape& shape, HeadRows q, HeadRows k, HeadRows v, HeadRowsOut y,
                   float* log_sum_exp, void* workspace);
int64_t flash_forward_bytes(int64_t head_dim);

// dq, and dk and dv, which are added to where `accumulate`. shape.first is 0. `workspace`:
// flash_backward_bytes, 64-byte aligned.
struct HeadGradients {
  HeadRowsOut dq, dk, dv;
  bool accumulate = false;
};
void flash_backward(const HeadShape& shape, HeadRows q, HeadRows k, HeadRows v, HeadRows y,
                    const float* log_sum_exp, HeadRows dy, const HeadGradients& gradients,
                    void* workspace);
int64_t flash_backward_bytes(int64_t head_dim);

}  // namespace trireme::core

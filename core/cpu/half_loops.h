// f32 arrays rounded to bf16 and f16, vectorised.
#pragma once

#include <cstdint>

#include "core/base/dtype.h"

namespace trireme::core {

// y[i] = bf16(x[i])
void write_bf16(const float* x, uint16_t* y, int64_t count, int threads);
// y[i] = dtype(x[i] scale) / scale, held in f32. `scale` is a power of two; dtype kBF16 or kF16.
void round_through(DType dtype, float scale, const float* x, float* y, int64_t count, int threads);

}  // namespace trireme::core

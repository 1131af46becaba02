#include "core/cpu/half_loops.h"

#include "core/cpu/parallel.h"
#include "core/cpu/simd.h"
#include "core/kernels/half.h"

namespace trireme::core {
namespace {

constexpr int64_t kGrain = 1 << 14;  // elements below which another thread does not pay

TRIREME_SIMD void write_bf16_array(const float* x, uint16_t* y, int64_t count) {
#pragma GCC ivdep
  for (int64_t i = 0; i < count; ++i) y[i] = bf16_of(x[i]);
}

TRIREME_SIMD void round_array_to_bf16(float scale, float inverse, const float* x, float* y,
                                      int64_t count) {
#pragma GCC ivdep
  for (int64_t i = 0; i < count; ++i) y[i] = inverse * f32_of_bf16(bf16_of(scale * x[i]));
}

TRIREME_SIMD void round_array_to_f16(float scale, float inverse, const float* x, float* y,
                                     int64_t count) {
#pragma GCC ivdep
  for (int64_t i = 0; i < count; ++i) y[i] = inverse * f32_of_f16(f16_of(scale * x[i]));
}

}  // namespace

void write_bf16(const float* x, uint16_t* y, int64_t count, int threads) {
  parallel_for(threads, count, kGrain, [&](int64_t begin, int64_t end) {
    write_bf16_array(x + begin, y + begin, end - begin);
  });
}

void round_through(DType dtype, float scale, const float* x, float* y, int64_t count, int threads) {
  const auto round = dtype == DType::kBF16 ? round_array_to_bf16 : round_array_to_f16;
  parallel_for(threads, count, kGrain, [&](int64_t begin, int64_t end) {
    round(scale, 1 / scale, x + begin, y + begin, end - begin);
  });
}

}  // namespace trireme::core

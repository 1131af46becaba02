#include "comm/reduce.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <type_traits>

#include "core/base/error.h"
#include "core/cpu/simd.h"

namespace trireme::comm {
namespace {

using core::DType;
using core::ReduceOp;

constexpr int64_t kBlock = 1024;  // accumulators stay in the first-level cache

TRIREME_SIMD void add_f32(float* acc, const float* x, int64_t count) {
  for (int64_t i = 0; i < count; ++i) acc[i] += x[i];
}

template <typename A>
void accumulate(A* acc, const A* x, int64_t count, ReduceOp op) {
  if (op == ReduceOp::kSum) {
    if constexpr (std::is_same_v<A, float>) {
      add_f32(acc, x, count);
    } else if constexpr (std::is_integral_v<A>) {
      using U = std::make_unsigned_t<A>;  // wraps where the signed sum would be undefined
      for (int64_t i = 0; i < count; ++i)
        acc[i] = static_cast<A>(static_cast<U>(static_cast<U>(acc[i]) + static_cast<U>(x[i])));
    } else {
      for (int64_t i = 0; i < count; ++i) acc[i] += x[i];
    }
  } else if (op == ReduceOp::kMax) {
    for (int64_t i = 0; i < count; ++i) acc[i] = std::max(acc[i], x[i]);
  } else {
    for (int64_t i = 0; i < count; ++i) acc[i] = std::min(acc[i], x[i]);
  }
}

template <typename T>
void reduce_plain(std::span<const void* const> inputs, T* out, int64_t begin, int64_t count,
                  ReduceOp op) {
  T acc[kBlock];
  for (int64_t i = begin; i < begin + count; i += kBlock) {
    const int64_t n = std::min(kBlock, begin + count - i);
    std::memcpy(acc, static_cast<const T*>(inputs[0]) + i, n * sizeof(T));
    for (size_t r = 1; r < inputs.size(); ++r)
      accumulate(acc, static_cast<const T*>(inputs[r]) + i, n, op);
    std::memcpy(out + i, acc, n * sizeof(T));
  }
}

template <DType dtype>
void widen(const uint16_t* x, float* out, int64_t count) {
  for (int64_t i = 0; i < count; ++i) out[i] = float_of_half(dtype, x[i]);
}

template <DType dtype>
void reduce_half(std::span<const void* const> inputs, uint16_t* out, int64_t begin, int64_t count,
                 ReduceOp op) {
  float acc[kBlock], x[kBlock];
  for (int64_t i = begin; i < begin + count; i += kBlock) {
    const int64_t n = std::min(kBlock, begin + count - i);
    widen<dtype>(static_cast<const uint16_t*>(inputs[0]) + i, acc, n);
    for (size_t r = 1; r < inputs.size(); ++r) {
      widen<dtype>(static_cast<const uint16_t*>(inputs[r]) + i, x, n);
      accumulate(acc, x, n, op);
    }
    for (int64_t k = 0; k < n; ++k) out[i + k] = half_of_float(dtype, acc[k]);
  }
}

}  // namespace

float float_of_half(DType dtype, uint16_t bits) {
  if (dtype == DType::kF16) return static_cast<float>(std::bit_cast<_Float16>(bits));
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

uint16_t half_of_float(DType dtype, float value) {
  if (dtype == DType::kF16) return std::bit_cast<uint16_t>(static_cast<_Float16>(value));
  const auto bits = std::bit_cast<uint32_t>(value);
  if (value != value) return static_cast<uint16_t>((bits >> 16) | 0x40);  // stays a NaN
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

void reduce_in_order(std::span<const void* const> inputs, void* out, int64_t begin, int64_t count,
                     DType dtype, ReduceOp op) {
  switch (dtype) {
    case DType::kF32:
      return reduce_plain(inputs, static_cast<float*>(out), begin, count, op);
    case DType::kF64:
      return reduce_plain(inputs, static_cast<double*>(out), begin, count, op);
    case DType::kI32:
      return reduce_plain(inputs, static_cast<int32_t*>(out), begin, count, op);
    case DType::kI64:
      return reduce_plain(inputs, static_cast<int64_t*>(out), begin, count, op);
    case DType::kU8:
      return reduce_plain(inputs, static_cast<uint8_t*>(out), begin, count, op);
    case DType::kF16:
      return reduce_half<DType::kF16>(inputs, static_cast<uint16_t*>(out), begin, count, op);
    case DType::kBF16:
      return reduce_half<DType::kBF16>(inputs, static_cast<uint16_t*>(out), begin, count, op);
    case DType::kNone:
      break;
  }
  ensure(false, "a reduction without a dtype");
}

}  // namespace trireme::comm

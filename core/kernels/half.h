// bfloat16 and IEEE binary16 as bit patterns, for host and device.
//
// Rounding is to the nearest value, ties to even; what is too large becomes infinity, NaN stays
// NaN. Integer arithmetic alone, so that every device gives the same bits.
//
// Source: IEEE 754-2019, sections 3.4 and 4.3.1; bfloat16 is the upper half of a binary32.
#pragma once

#include <cstdint>

#include "core/base/dtype.h"
#include "core/kernels/math.h"

namespace trireme::core {

TRIREME_HOST_DEVICE uint16_t bf16_of(float x) {
  const uint32_t bits = bits_of(x);
  const uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
  const uint32_t quiet = bits >> 16 | 0x40u;  // else a NaN's payload might round to infinity
  return static_cast<uint16_t>((bits & 0x7fffffffu) > 0x7f800000u ? quiet : rounded);
}

TRIREME_HOST_DEVICE float f32_of_bf16(uint16_t bits) { return float_of(uint32_t{bits} << 16); }

TRIREME_HOST_DEVICE uint16_t f16_of(float x) {
  const uint32_t bits = bits_of(x);
  const uint32_t sign = bits >> 16 & 0x8000u, size = bits & 0x7fffffffu;
  uint32_t half = (size - 0x38000000u + 0xfffu + (size >> 13 & 1u)) >> 13;  // the exponent's bias
  // Below 2^-14 a step is 2^-24, as it is of f32 from 0.5 on: the sum rounds.
  if (size < 0x38800000u) half = bits_of(float_of(size) + 0.5f) - 0x3f000000u;
  if (size >= 0x477ff000u) half = 0x7c00u;  // 65520: nearer to 65536 than to the largest
  if (size > 0x7f800000u) half = 0x7e00u | (size >> 13 & 0x3ffu);
  return static_cast<uint16_t>(sign | half);
}

TRIREME_HOST_DEVICE float f32_of_f16(uint16_t bits) {
  const uint32_t sign = (bits & 0x8000u) << 16, size = bits & 0x7fffu;
  // 2^-24 each below 2^-14; otherwise the exponent moves, and that of infinity and NaN to the end.
  if (size < 0x400u) return float_of(bits_of(static_cast<float>(size) * 0x1p-24f) | sign);
  return float_of(sign | ((size << 13) + (size >= 0x7c00u ? 0x70000000u : 0x38000000u)));
}

// The value of `dtype`, kBF16 or kF16, that is nearest to x.
TRIREME_HOST_DEVICE float rounded_to(DType dtype, float x) {
  return dtype == DType::kBF16 ? f32_of_bf16(bf16_of(x)) : f32_of_f16(f16_of(x));
}

}  // namespace trireme::core

// Uniform and normal draws from 32-bit lanes of Philox, with the same bits on CPU and GPU.
//
// Only operations that IEEE 754 rounds correctly are used: conversion, product, fma, square root.
// Every sum of a product is an explicit fma, so no compiler's choice of contraction matters, and no
// call to a mathematics library stands here: those differ between machines.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "core/base/host_device.h"
#include "core/random/philox.h"

namespace trireme::core {

namespace exact {

TRIREME_HOST_DEVICE float fma(float a, float b, float c) {
#ifdef __CUDA_ARCH__
  return __fmaf_rn(a, b, c);
#else
  return std::fma(a, b, c);
#endif
}

TRIREME_HOST_DEVICE float sqrt(float x) {
#ifdef __CUDA_ARCH__
  return __fsqrt_rn(x);
#else
  return std::sqrt(x);
#endif
}

TRIREME_HOST_DEVICE int32_t bits_of(float x) {
#ifdef __CUDA_ARCH__
  return __float_as_int(x);
#else
  return std::bit_cast<int32_t>(x);
#endif
}

TRIREME_HOST_DEVICE float float_of(int32_t bits) {
#ifdef __CUDA_ARCH__
  return __int_as_float(bits);
#else
  return std::bit_cast<float>(bits);
#endif
}

// ln(x) for a normal x > 0, within 2 ulp.
//
// x = 2^e (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)); ln(1 + f) = f + f^2 P(f). P: degree 8, fitted
// to the least largest relative error (5e-9) and then rounded to float.
TRIREME_HOST_DEVICE float log(float x) {
  const int32_t exponent = (bits_of(x) - 0x3f3504f3) >> 23;  // 0x3f3504f3: sqrt(1/2)
  const float f = float_of(bits_of(x) - exponent * (1 << 23)) - 1.0f;
  const float e = static_cast<float>(exponent);
  float p = -0.0762185603f;
  p = fma(p, f, 0.129044935f);
  p = fma(p, f, -0.132429853f);
  p = fma(p, f, 0.141818136f);
  p = fma(p, f, -0.166090816f);
  p = fma(p, f, 0.200019747f);
  p = fma(p, f, -0.250015825f);
  p = fma(p, f, 0.333333254f);
  p = fma(p, f, -0.499999881f);
  // ln(2) in two parts, the first short enough for e * 0.693359375 to be exact.
  const float tail = fma(f * f, p, e * -2.12194440e-4f);
  return fma(e, 0.693359375f, f + tail);
}

// sin(x) and cos(x) for |x| <= pi / 4: x + x^3 S(x^2) and 1 - x^2 / 2 + x^4 C(x^2), fitted like
// the logarithm (largest relative errors 8e-9 and 2e-10).
TRIREME_HOST_DEVICE float sin_near_zero(float x) {
  const float xx = x * x;
  const float s = fma(fma(-0.000195152184f, xx, 0.0083321603f), xx, -0.166666552f);
  return fma(x * xx, s, x);
}
TRIREME_HOST_DEVICE float cos_near_zero(float x) {
  const float xx = x * x;
  const float c = fma(fma(2.44330822e-05f, xx, -0.00138873153f), xx, 0.0416666456f);
  return fma(xx * xx, c, fma(xx, -0.5f, 1.0f));
}

}  // namespace exact

// Uniform in [0, 1): the lane's upper 24 bits, all of which a float holds.
TRIREME_HOST_DEVICE float uniform(uint32_t lane) {
  return static_cast<float>(lane >> 8) * 0x1p-24f;
}

// Uniform in [low, high). A draw that rounds up to `high` (fewer than one in 2^24) becomes `low`.
TRIREME_HOST_DEVICE float uniform(uint32_t lane, float low, float high) {
  const float x = exact::fma(uniform(lane), high - low, low);
  return x < high ? x : low;
}

struct NormalPair {
  float first, second;
};

// Two independent standard normals from two lanes; |x| <= 6.77.
//
//   r = sqrt(-2 ln u),  u = (a + 1/2) / 2^32 in (0, 1]
//   first = r cos(t),  second = r sin(t),  t = 2 pi b / 2^32
//
// Source: Box and Muller, A note on the generation of random normal deviates (1958).
TRIREME_HOST_DEVICE NormalPair normal_pair(uint32_t a, uint32_t b) {
  const float u = (static_cast<float>(a) + 0.5f) * 0x1p-32f;
  const float r = exact::sqrt(-2.0f * exact::log(u));
  // t = quadrant * pi / 2 + rest with rest in [-pi / 4, pi / 4), split in whole numbers: exact.
  const uint32_t quadrant = (b + (1u << 29)) >> 30;
  const float rest = static_cast<float>(static_cast<int32_t>(b - (quadrant << 30)));
  const float angle = rest * 1.46291807926715968e-9f;  // 2 pi / 2^32
  const float s = exact::sin_near_zero(angle), c = exact::cos_near_zero(angle);
  const float x = quadrant & 1 ? -s : c;  // cos(t), sin(t) up to the sign of the half turn
  const float y = quadrant & 1 ? c : s;
  const float signed_r = quadrant & 2 ? -r : r;
  return {signed_r * x, signed_r * y};
}

// Lane i of the block as standard normals: lanes 0 and 1 make the first pair, 2 and 3 the second.
struct NormalBlock {
  float lane[4];
};
TRIREME_HOST_DEVICE NormalBlock normals(const PhiloxBlock& block) {
  const NormalPair first = normal_pair(block.lane[0], block.lane[1]);
  const NormalPair second = normal_pair(block.lane[2], block.lane[3]);
  return {{first.first, first.second, second.first, second.second}};
}

}  // namespace trireme::core

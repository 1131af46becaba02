// exp, tanh, sigmoid and the normal distribution function in f32, for host and device.
//
// Branch-free polynomials: the compiler vectorises a loop over them, which it cannot do with a
// call into libm. NaN comes through as NaN. Relative errors against double, over all finite
// arguments whose result is a normal f32: exp, tanh, sigmoid 3e-7; normal_cdf 1e-6 down to -5.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "core/base/host_device.h"

namespace trireme::core {

TRIREME_HOST_DEVICE uint32_t bits_of(float x) {
#ifdef __CUDA_ARCH__
  return __float_as_uint(x);
#else
  return std::bit_cast<uint32_t>(x);
#endif
}

TRIREME_HOST_DEVICE float float_of(uint32_t bits) {
#ifdef __CUDA_ARCH__
  return __uint_as_float(bits);
#else
  return std::bit_cast<float>(bits);
#endif
}

// e^x; 0 below -86.5 (where results are denormal, or nearly) and infinity above 88.72.
//
// x = n ln 2 + r with |r| <= ln 2 / 2, so e^x = 2^n e^r; ln 2 is split in two so that r is exact.
// Source: Moshier, Cephes, expf.
TRIREME_HOST_DEVICE float fast_exp(float x) {
  const float clamped = x < -86.5f ? -86.5f : (x > 88.72f ? 88.72f : x);
  // Adding 1.5 * 2^23 rounds to a whole number, which then lies in the low bits.
  const float shifted = clamped * 1.44269504f + 12582912.0f;
  const float n = shifted - 12582912.0f;
  const float r = (clamped - n * 0.693359375f) - n * -2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  // n may be 128, whose power of two is no f32: 2^(n - 1) and another factor of two.
  const uint32_t exponent = bits_of(shifted) - bits_of(12582912.0f) + 126u;
  const float result = p * float_of(exponent << 23) * 2.0f;
  const float low = x < -86.5f ? 0.0f : result;
  return x > 88.72f ? float_of(0x7f800000u) : low;  // infinity
}

// Source: Moshier, Cephes, tanhf.
TRIREME_HOST_DEVICE float fast_tanh(float x) {
  const float a = fabsf(x);
  const float s = x * x;
  float p = -5.70498872745e-3f;
  p = p * s + 2.06390887954e-2f;
  p = p * s - 5.37397155531e-2f;
  p = p * s + 1.33314422036e-1f;
  p = p * s - 3.33332819422e-1f;
  const float near = p * s * x + x;
  const float far = 1.0f - 2.0f / (fast_exp(2.0f * a) + 1.0f);
  return a < 0.625f ? near : (x < 0 ? -far : far);
}

TRIREME_HOST_DEVICE float fast_sigmoid(float x) { return 1.0f / (1.0f + fast_exp(-x)); }

struct SinCos {
  float sin;
  float cos;
};

// sin x and cos x for |x| < 2^31, to 2e-7 of 1. The nearest multiple of pi / 2 is taken off in
// double, whose product with it is good to 1e-7 up to there.
// Source: Moshier, Cephes, sinf and cosf.
TRIREME_HOST_DEVICE SinCos fast_sincos(float x) {
  // Adding 1.5 * 2^52 rounds to a whole number.
  const double n = (x * 0.63661977236758134 + 6755399441055744.0) - 6755399441055744.0;
  const auto r = static_cast<float>(x - n * 1.5707963267948966);
  const auto quadrant = static_cast<uint32_t>(static_cast<int32_t>(n));
  const float z = r * r;
  const float s = ((-1.9515295891e-4f * z + 8.3321608736e-3f) * z - 1.6666654611e-1f) * z * r + r;
  const float c =
      ((2.443315712e-5f * z - 1.388731625e-3f) * z + 4.166664568e-2f) * z * z - 0.5f * z + 1.0f;
  const bool swapped = (quadrant & 1u) != 0;
  const float sine = swapped ? c : s;
  const float cosine = swapped ? s : c;
  // sin is negative in quadrants 2 and 3, cos in 1 and 2: the sign bit, without a branch.
  return {float_of(bits_of(sine) ^ ((quadrant & 2u) << 30)),
          float_of(bits_of(cosine) ^ (((quadrant + 1u) & 2u) << 30))};
}

// The standard normal distribution at x: phi is the density, cdf the integral up to x.
struct NormalPoint {
  float cdf;
  float pdf;
};

// cdf = erfc(-x / sqrt 2) / 2, from the scaled function e^{t^2} erfc(t) (1 + 2t), which is a
// polynomial of degree 9 in (t - 2) / (t + 2) on t >= 0 to 2e-7. (Least squares at Chebyshev
// points; the mapping is that of Shepherd and Laframboise, Mathematics of Computation 36, 1981.)
TRIREME_HOST_DEVICE NormalPoint normal_at(float x) {
  const float t = fabsf(x) * 0.707106781f;
  const float u = (t - 2.0f) / (t + 2.0f);
  float p = -4.09444358e-4f;
  p = p * u - 1.24132470e-3f;
  p = p * u + 1.32048619e-3f;
  p = p * u + 8.64262693e-3f;
  p = p * u - 8.06166138e-3f;
  p = p * u - 5.42076528e-2f;
  p = p * u + 1.64055556e-1f;
  p = p * u - 1.66031092e-1f;
  p = p * u - 9.27639902e-2f;
  p = p * u + 1.27697837f;
  const float e = fast_exp(-0.5f * x * x);
  const float tail = 0.5f * e * p / (1.0f + 2.0f * t);
  return {x < 0 ? tail : 1.0f - tail, e * 0.398942280f};
}

}  // namespace trireme::core

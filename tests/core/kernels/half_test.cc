// Roundings against their definition: the nearest value, in double, ties to the even one.
#include "core/kernels/half.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "core/cpu/half_loops.h"

namespace trireme::core {
namespace {

struct Format {
  DType dtype;
  uint16_t (*round)(float);
  float (*widen)(uint16_t);
  int fraction_bits, least_exponent;  // of the smallest normal number
  uint16_t infinity;
};
const Format kFormats[] = {{DType::kBF16, bf16_of, f32_of_bf16, 7, -126, 0x7f80},
                           {DType::kF16, f16_of, f32_of_f16, 10, -14, 0x7c00}};

// What the bits say, by the formula of IEEE 754.
double value_of(const Format& format, uint16_t bits) {
  const int exponent = (bits & 0x7fff) >> format.fraction_bits;
  const int fraction = bits & ((1 << format.fraction_bits) - 1);
  const double size = exponent == 0
                          ? std::ldexp(fraction, format.least_exponent - format.fraction_bits)
                          : std::ldexp(fraction + (1 << format.fraction_bits),
                                       format.least_exponent + exponent - 1 - format.fraction_bits);
  return bits & 0x8000 ? -size : size;
}

TEST(Half, EveryFiniteValueIsWhatItsBitsSayAndRoundsToItself) {
  for (const Format& format : kFormats)
    for (uint32_t bits = 0; bits < 0x10000; ++bits) {
      const auto half = static_cast<uint16_t>(bits);
      if ((half & 0x7fff) >= format.infinity) continue;
      ASSERT_EQ(format.widen(half), value_of(format, half)) << bits;
      ASSERT_EQ(format.round(format.widen(half)), half) << bits;
    }
}

TEST(Half, InfinityStaysAndEveryNanStaysNan) {
  for (const Format& format : kFormats)
    for (uint32_t bits = 0; bits < 0x10000; ++bits) {
      const auto half = static_cast<uint16_t>(bits);
      if ((half & 0x7fff) < format.infinity) continue;
      if ((half & 0x7fff) == format.infinity) {
        ASSERT_EQ(format.widen(half), half & 0x8000 ? -INFINITY : INFINITY);
        ASSERT_EQ(format.round(format.widen(half)), half);
      } else {
        ASSERT_TRUE(std::isnan(format.widen(half))) << bits;
        ASSERT_TRUE(std::isnan(format.widen(format.round(format.widen(half))))) << bits;
      }
    }
  // Payloads in the bits that are cut off.
  for (uint32_t nan : {0x7f800001u, 0xff800001u, 0x7fffffffu, 0xffffffffu, 0x7f80ffffu})
    for (const Format& format : kFormats)
      EXPECT_TRUE(std::isnan(format.widen(format.round(float_of(nan))))) << nan;
}

// Between two neighbours: just below, on, and just above the middle.
TEST(Half, RoundsToTheNearestAndTiesToEven) {
  for (const Format& format : kFormats)
    for (uint16_t low = 0; low + 1 < format.infinity; ++low) {
      const auto high = static_cast<uint16_t>(low + 1);
      const double middle = (value_of(format, low) + value_of(format, high)) / 2;
      const auto tie = static_cast<float>(middle);
      ASSERT_EQ(tie, middle) << low;
      ASSERT_EQ(format.round(tie), low % 2 == 0 ? low : high) << low;
      ASSERT_EQ(format.round(std::nextafter(tie, 0.0f)), low) << low;
      ASSERT_EQ(format.round(std::nextafter(tie, INFINITY)), high) << low;
      ASSERT_EQ(format.round(-tie), (low % 2 == 0 ? low : high) | 0x8000) << low;
    }
}

TEST(Half, WhatIsTooLargeIsInfinite) {
  EXPECT_EQ(f16_of(65519.996f), 0x7bff);
  EXPECT_EQ(f16_of(65520.0f), 0x7c00);
  EXPECT_EQ(f16_of(-1e30f), 0xfc00);
  EXPECT_EQ(bf16_of(std::numeric_limits<float>::max()), 0x7f80);
  EXPECT_EQ(bf16_of(float_of(0x7f7f7fff)), 0x7f7f);
}

// Any f32: no other value is nearer, and the loops give the same bits as the functions.
TEST(Half, LoopsRoundAnyFloat) {
  std::mt19937 random(5);
  std::vector<float> x(40001);
  for (float& value : x) value = float_of(static_cast<uint32_t>(random()));
  std::vector<float> y(x.size());
  std::vector<uint16_t> bits(x.size());
  for (int threads : {1, 3}) {
    write_bf16(x.data(), bits.data(), std::ssize(x), threads);
    for (const Format& format : kFormats) {
      round_through(format.dtype, 1, x.data(), y.data(), std::ssize(x), threads);
      for (size_t i = 0; i < x.size(); ++i) {
        const uint16_t want = format.round(x[i]);
        if (format.dtype == DType::kBF16) {
          ASSERT_EQ(bits[i], want);
        }
        if (std::isnan(x[i])) {
          ASSERT_TRUE(std::isnan(y[i]));
          continue;
        }
        ASSERT_EQ(bits_of(y[i]), bits_of(format.widen(want))) << x[i];
        const auto size = static_cast<uint16_t>(want & 0x7fff);
        if (size == format.infinity || size == 0) continue;
        const double error = std::abs(std::abs(x[i]) - value_of(format, size));
        for (int step : {-1, 1}) {
          const auto other = static_cast<uint16_t>(size + step);
          ASSERT_LE(error, std::abs(std::abs(x[i]) - value_of(format, other))) << x[i];
        }
      }
    }
  }
}

TEST(Half, ScaledValuesKeepTheirSmallBits) {
  const float x[] = {3e-8f, -1.7e-9f, 1.0f, 70.0f};
  float y[4];
  round_through(DType::kF16, 1, x, y, 4, 1);
  EXPECT_EQ(y[1], 0) << "below f16";
  round_through(DType::kF16, 0x1p16f, x, y, 4, 1);
  EXPECT_NEAR(y[0], x[0], 3e-8 * 0x1p-11);
  EXPECT_NEAR(y[1], x[1], 2e-9 * 0x1p-11);
  EXPECT_TRUE(std::isinf(y[2]));
  EXPECT_TRUE(std::isinf(y[3]));
}

}  // namespace
}  // namespace trireme::core

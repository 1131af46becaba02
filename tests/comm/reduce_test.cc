#include "comm/reduce.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace trireme::comm {
namespace {

using core::DType;
using core::ReduceOp;

TEST(Reduce, AddsInRankOrder) {
  // (1 + 1e8) - 1e8 is 0 in f32 and 1 + (1e8 - 1e8) is 1: only one order gives 0.
  const float a = 1.0f, b = 1e8f, c = -1e8f;
  float out = 7.0f;
  const void* inputs[] = {&a, &b, &c};
  reduce_in_order(inputs, &out, 0, 1, DType::kF32, ReduceOp::kSum);
  EXPECT_EQ(out, 0.0f);
  const void* reordered[] = {&b, &c, &a};
  reduce_in_order(reordered, &out, 0, 1, DType::kF32, ReduceOp::kSum);
  EXPECT_EQ(out, 1.0f);
}

TEST(Reduce, HalfSumsAreRoundedOnce) {
  // bf16 has 8 bits: 256 + 1 rounds back to 256 each time, but 256 + (1 + 1) is 258.
  const uint16_t big = half_of_float(DType::kBF16, 256.0f), one = half_of_float(DType::kBF16, 1.0f);
  uint16_t out = 0;
  const void* inputs[] = {&big, &one, &one};
  reduce_in_order(inputs, &out, 0, 1, DType::kBF16, ReduceOp::kSum);
  EXPECT_EQ(float_of_half(DType::kBF16, out), 258.0f);
}

TEST(Reduce, HalvesGoThereAndBack) {
  for (const DType dtype : {DType::kF16, DType::kBF16})
    for (uint32_t bits = 0; bits < 65536; ++bits) {
      const float value = float_of_half(dtype, static_cast<uint16_t>(bits));
      if (std::isnan(value))
        EXPECT_TRUE(std::isnan(float_of_half(dtype, half_of_float(dtype, value)))) << bits;
      else
        EXPECT_EQ(half_of_float(dtype, value), bits);
    }
}

TEST(Reduce, Bf16RoundsToNearestEven) {
  EXPECT_EQ(float_of_half(DType::kBF16, half_of_float(DType::kBF16, 257.0f)), 256.0f);
  EXPECT_EQ(float_of_half(DType::kBF16, half_of_float(DType::kBF16, 259.0f)), 260.0f);
  EXPECT_EQ(half_of_float(DType::kBF16, std::numeric_limits<float>::max()), 0x7f80);
}

TEST(Reduce, OutMayBeAnInputAndBeginIsKept) {
  std::vector<double> a(3000), b(3000);
  std::mt19937 random(3);
  for (size_t i = 0; i < a.size(); ++i) {
    a[i] = random() % 1000;
    b[i] = random() % 1000;
  }
  const std::vector<double> before = b;
  const void* inputs[] = {a.data(), b.data()};
  reduce_in_order(inputs, b.data(), 17, 2500, DType::kF64, ReduceOp::kSum);
  for (int64_t i = 0; i < 3000; ++i)
    EXPECT_EQ(b[i], i >= 17 && i < 2517 ? a[i] + before[i] : before[i]) << i;
}

TEST(Reduce, IntegersWrap) {
  const int32_t a = std::numeric_limits<int32_t>::max(), b = 1;
  int32_t out = 0;
  const void* inputs[] = {&a, &b};
  reduce_in_order(inputs, &out, 0, 1, DType::kI32, ReduceOp::kSum);
  EXPECT_EQ(out, std::numeric_limits<int32_t>::min());
}

}  // namespace
}  // namespace trireme::comm

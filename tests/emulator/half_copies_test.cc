// The kernel that rounds operands for a GPU's products gives the bits of the CPU's functions.
#include "core/cuda/half_copies.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "core/kernels/half.h"
#include "emulator_device.h"

namespace trireme::test {
namespace {

using core::DType;

// `shift` elements past an aligned place.
void check(DType dtype, int64_t count, int shift, const float* scale) {
  std::mt19937 random(7);
  std::vector<float> x(count + shift);
  for (float& value : x) value = core::float_of(static_cast<uint32_t>(random()));
  std::vector<uint16_t> y(count + shift + 1, 0xabcd);
  core::write_half(dtype, x.data() + shift, scale, y.data() + shift, count, emulator_stream());
  for (int64_t i = 0; i < count; ++i) {
    const float value = (scale ? *scale : 1.0f) * x[i + shift];
    const uint16_t want = dtype == DType::kBF16 ? core::bf16_of(value) : core::f16_of(value);
    ASSERT_EQ(y[i + shift], want) << i << " of " << count << ": " << x[i + shift];
  }
  EXPECT_EQ(y.back(), 0xabcd);
}

TEST(HalfCopies, HaveTheBitsOfTheFunctions) {
  const float scale = 1024;
  for (const emulator::Schedule schedule : all_schedules()) {
    emulator::set_schedule(schedule);
    for (const DType dtype : {DType::kBF16, DType::kF16})
      for (const int64_t count : {1, 3, 4, 7, 1021, 4096})
        for (const int shift : {0, 1, 4}) check(dtype, count, shift, shift == 1 ? &scale : nullptr);
  }
}

TEST(HalfCopies, LieOneBehindTheOther) {
  const std::vector<float> a(129, 1.5f), b(2, -2.0f);
  const DType dtype = DType::kBF16;
  std::vector<std::byte> workspace(core::HalfCopies::bytes(dtype, 129) +
                                   core::HalfCopies::bytes(dtype, 2));
  core::HalfCopies copies(workspace.data(), dtype, emulator_stream());
  const auto* first = static_cast<const uint16_t*>(copies.add(a.data(), 129));
  const auto* second = static_cast<const uint16_t*>(copies.add(b.data(), 2));
  EXPECT_EQ(first[128], core::bf16_of(1.5f));
  EXPECT_EQ(second[1], core::bf16_of(-2.0f));
  EXPECT_EQ(copies.rest(), workspace.data() + workspace.size());
  core::HalfCopies none(workspace.data(), DType::kF32, emulator_stream());
  EXPECT_EQ(none.add(a.data(), 129), a.data());
  EXPECT_EQ(none.rest(), workspace.data());
}

}  // namespace
}  // namespace trireme::test

#include "core/random/initializer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <vector>

#include "core/base/error.h"
#include "core/random/distributions.h"

namespace trireme::core {
namespace {

std::vector<float> drawn(const Init& init, uint64_t key, int64_t first, int64_t count,
                         uint64_t sample = 0) {
  std::vector<float> values(count);
  fill(init, key, first, values, sample);
  return values;
}

const Init kInits[] = {Init::constant(3), Init::uniform(-0.1f, 0.2f), Init::normal(0.5f, 2)};

TEST(Fill, SlicesEqualTheWhole) {
  for (const Init& init : kInits) {
    const std::vector<float> whole = drawn(init, 17, 0, 1500);
    for (int64_t first : {0, 1, 2, 3, 4, 7, 255, 256, 257, 1001})
      for (int64_t count : {0, 1, 2, 5, 253, 256, 257, 499}) {
        const std::vector<float> slice = drawn(init, 17, first, count);
        for (int64_t i = 0; i < count; ++i) ASSERT_EQ(slice[i], whole[first + i]) << first;
      }
  }
}

// The bulk loops are compiled for several instruction sets; this one is for the least.
TEST(Fill, EqualsTheScalarFunctions) {
  const std::vector<float> normal = drawn(kInits[2], 5, 0, 1000, 9);
  const std::vector<float> flat = drawn(kInits[1], 5, 0, 1000, 9);
  for (int64_t i = 0; i < 1000; ++i) {
    const PhiloxBlock block = philox(5, i / 4, 9);
    EXPECT_EQ(normal[i], std::fma(2.0f, normals(block).lane[i % 4], 0.5f));
    EXPECT_EQ(flat[i], uniform(block.lane[i % 4], -0.1f, 0.2f));
  }
}

struct Moments {
  double mean = 0, variance = 0, skew = 0, kurtosis = 0;
};

Moments moments_of(const std::vector<float>& values) {
  Moments m;
  const double n = static_cast<double>(values.size());
  for (float x : values) m.mean += x / n;
  for (float x : values) m.variance += (x - m.mean) * (x - m.mean) / n;
  const double sigma = std::sqrt(m.variance);
  for (float x : values) {
    const double z = (x - m.mean) / sigma;
    m.skew += z * z * z / n;
    m.kurtosis += z * z * z * z / n;
  }
  return m;
}

TEST(Fill, MomentsOfTheNormal) {
  const std::vector<float> values = drawn(Init::normal(0.5f, 2), 1, 0, 400000);
  const Moments m = moments_of(values);  // bounds: five standard errors
  EXPECT_NEAR(m.mean, 0.5, 5 * 2 / std::sqrt(4e5));
  EXPECT_NEAR(m.variance, 4, 5 * 4 * std::sqrt(2 / 4e5));
  EXPECT_NEAR(m.skew, 0, 5 * std::sqrt(6 / 4e5));
  EXPECT_NEAR(m.kurtosis, 3, 5 * std::sqrt(24 / 4e5));
  double product = 0;  // the two of a pair are independent
  for (size_t i = 0; i < values.size(); i += 2)
    product += (values[i] - 0.5) * (values[i + 1] - 0.5) / 4 / (values.size() / 2.0);
  EXPECT_NEAR(product, 0, 5 / std::sqrt(2e5));
}

TEST(Fill, MomentsOfTheUniform) {
  const std::vector<float> values = drawn(Init::uniform(-1, 3), 2, 0, 400000);
  const Moments m = moments_of(values);
  EXPECT_NEAR(m.mean, 1, 5 * std::sqrt(16 / 12.0 / 4e5));
  EXPECT_NEAR(m.variance, 16 / 12.0, 0.01);
  for (float x : values) ASSERT_TRUE(x >= -1 && x < 3);
}

TEST(Fill, KeysAndSamplesDiffer) {
  const std::vector<float> base = drawn(kInits[2], 1, 0, 64);
  EXPECT_NE(base, drawn(kInits[2], 2, 0, 64));
  EXPECT_NE(base, drawn(kInits[2], 1, 0, 64, 1));
}

std::vector<uint32_t> bits_of(const std::vector<float>& values) {
  std::vector<uint32_t> bits;
  for (float x : values) bits.push_back(std::bit_cast<uint32_t>(x));
  return bits;
}

// The first values of a parameter are part of what "the same job" means: they never change.
TEST(Fill, GoldenBits) {
  const uint64_t key = random_key(1, "init", "conv1/weight");
  EXPECT_THAT(bits_of(drawn(Init::normal(0, 1), key, 0, 8)),
              testing::ElementsAre(3163396103, 3214610004, 3211634275, 3206232306, 1071269069,
                                   3215092415, 1057475165, 1057737644));
  EXPECT_THAT(bits_of(drawn(Init::uniform(-1, 1), key, 1000003, 4)),
              testing::ElementsAre(3212129832, 1054805872, 1062559034, 1034516496));
}

TEST(Fill, RefusesBadArguments) {
  std::vector<float> out(4);
  EXPECT_THROW(fill(Init::uniform(1, 1), 0, 0, out), InvalidArgument);
  EXPECT_THROW(fill(Init::uniform(0, INFINITY), 0, 0, out), InvalidArgument);
  EXPECT_THROW(fill(Init::normal(0, -1), 0, 0, out), InvalidArgument);
  EXPECT_THROW(fill(Init::normal(0, 1), 0, -1, out), InvalidArgument);
}

}  // namespace
}  // namespace trireme::core

#include "launcher/data/synthetic.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/base/error.h"

namespace trireme::launcher {
namespace {

std::pair<std::vector<float>, int32_t> read(const Dataset& dataset, int64_t index) {
  std::vector<float> features(dataset.feature_shape().elements());
  int32_t label = -1;
  dataset.read(index, {features, label});
  return {features, label};
}

SyntheticOptions small() {
  SyntheticOptions options;
  options.samples = 300;
  options.height = 10;
  options.width = 9;
  options.channels = 3;
  options.classes = 7;
  return options;
}

double squared_distance(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum / static_cast<double>(a.size());
}

TEST(Synthetic, ShapeAndEvenClasses) {
  const SyntheticDataset dataset(small());
  EXPECT_EQ(dataset.size(), 300);
  EXPECT_EQ(dataset.feature_shape(), (core::Shape{10, 9, 3}));
  std::vector<int> counts(7);
  for (int64_t n = 0; n < 300; ++n) ++counts[read(dataset, n).second];
  for (int count : counts) EXPECT_NEAR(count, 300 / 7.0, 1);
}

TEST(Synthetic, NoiseHasTheStatedDeviation) {
  SyntheticOptions clean = small(), noisy = small();
  clean.noise = 0;
  noisy.noise = 0.25f;
  double variance = 0;
  for (int64_t n = 0; n < 100; ++n)
    variance += squared_distance(read(SyntheticDataset(clean), n).first,
                                 read(SyntheticDataset(noisy), n).first) /
                100;
  EXPECT_NEAR(std::sqrt(variance), 0.25, 0.01);
}

TEST(Synthetic, PrototypesArePatchesThatTellClassesApart) {
  SyntheticOptions clean = small();
  clean.noise = 0;
  const SyntheticDataset dataset(clean);
  const std::vector<float> image = read(dataset, 3).first;
  const auto pixel = [&](int64_t h, int64_t w, int64_t c) { return image[(h * 9 + w) * 3 + c]; };
  EXPECT_EQ(pixel(0, 0, 1), pixel(3, 3, 1));
  EXPECT_EQ(pixel(8, 8, 2), pixel(9, 8, 2));
  EXPECT_NE(pixel(0, 3, 1), pixel(0, 4, 1));
  EXPECT_NE(pixel(3, 0, 1), pixel(4, 0, 1));
  EXPECT_NE(pixel(0, 0, 0), pixel(0, 0, 1));
  EXPECT_EQ(image, read(dataset, 3 + 7).first);
  EXPECT_GT(squared_distance(image, read(dataset, 4).first), 0.5);
}

TEST(Synthetic, TheNearestPrototypeIsTheLabel) {
  SyntheticOptions clean = small();
  clean.noise = 0;
  const SyntheticDataset noisy(small()), prototypes(clean);
  for (int64_t n = 0; n < 300; ++n) {
    const auto [features, label] = read(noisy, n);
    for (int64_t other = 0; other < 7; ++other)
      if (other != label) {
        EXPECT_LT(squared_distance(features, read(prototypes, label).first),
                  squared_distance(features, read(prototypes, other).first));
      }
  }
}

TEST(Synthetic, FirstSampleContinuesTheSequence) {
  SyntheticOptions rest = small();
  rest.first_sample = 100;
  for (int64_t n : {0, 1, 50})
    EXPECT_EQ(read(SyntheticDataset(rest), n), read(SyntheticDataset(small()), 100 + n));
  EXPECT_NE(read(SyntheticDataset(small()), 0).first, read(SyntheticDataset(small()), 7).first);
}

TEST(Synthetic, SeedAndIdentity) {
  SyntheticOptions other = small();
  other.seed = 2;
  EXPECT_NE(read(SyntheticDataset(other), 0).first, read(SyntheticDataset(small()), 0).first);
  EXPECT_NE(SyntheticDataset(other).identity(), SyntheticDataset(small()).identity());
  EXPECT_EQ(SyntheticDataset(small()).identity(),
            "synthetic 300 x (10, 9, 3) classes=7 noise=0.5 seed=1 first_sample=0");
}

TEST(Synthetic, RefusesBadOptions) {
  const auto complaint = [](auto change) -> std::string {
    SyntheticOptions bad = small();
    change(bad);
    try {
      SyntheticDataset dataset(bad);
    } catch (const InvalidArgument& error) {
      return error.what();
    }
    return "nothing was thrown";
  };
  EXPECT_EQ(complaint([](auto& o) { o.samples = 0; }),
            "[synthetic] samples expects at least 1, got 0");
  EXPECT_EQ(complaint([](auto& o) { o.width = -1; }),
            "[synthetic] width expects at least 1, got -1");
  EXPECT_EQ(complaint([](auto& o) { o.noise = NAN; }),
            "[synthetic] noise expects a finite value >= 0, got nan");
  EXPECT_EQ(complaint([](auto& o) { o.first_sample = INT64_MAX; }),
            "[synthetic] first_sample expects a value >= 0 with room for 300 samples, got "
            "9223372036854775807");
  EXPECT_NE(complaint([](auto& o) { o.height = o.width = int64_t{1} << 40; }),
            "nothing was thrown");
}

}  // namespace
}  // namespace trireme::launcher

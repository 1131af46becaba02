#include "launcher/data/cached.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "core/base/error.h"
#include "launcher/data/open.h"
#include "launcher/data/synthetic.h"

namespace trireme::launcher {
namespace {

// Sample n is (n, n + 0.5) with label n; counts its reads; sample 3 fails when first read.
class CountingDataset : public Dataset {
 public:
  int64_t size() const override { return 7; }
  core::Shape feature_shape() const override { return {2}; }
  int64_t classes() const override { return 7; }
  void read(int64_t index, Sample out) const override {
    if (reads[index]++ == 0 && index == 3) fail("[data] not now");
    out.features[0] = static_cast<float>(index);
    out.features[1] = static_cast<float>(index) + 0.5F;
    out.label = static_cast<int32_t>(index);
  }
  std::string name() const override { return "counted"; }
  std::string identity() const override { return "counted v1"; }

  mutable std::atomic<int> reads[7] = {};
};

void expect_sample(const Dataset& dataset, int64_t index) {
  std::vector<float> features(2, -1);
  int32_t label = -1;
  dataset.read(index, {features, label});
  EXPECT_EQ(features, (std::vector<float>{static_cast<float>(index), index + 0.5F}));
  EXPECT_EQ(label, index);
}

TEST(Cached, MakesEachSampleOnceAndGivesItAgain) {
  const auto counting = std::make_shared<CountingDataset>();
  const CachedDataset cached(counting);
  for (int pass = 0; pass < 3; ++pass)
    for (int64_t n : {6, 0, 5}) expect_sample(cached, n);
  EXPECT_EQ(counting->reads[6], 1);
  EXPECT_EQ(counting->reads[0], 1);
  EXPECT_EQ(counting->reads[1], 0);
  EXPECT_EQ(cached.identity(), "counted v1");
  EXPECT_EQ(cached.name(), "counted");
  EXPECT_EQ(CachedDataset::bytes(*counting), 7 * (2 * 4 + 4 + 1));
}

TEST(Cached, DoesNotKeepASampleThatFailed) {
  const auto counting = std::make_shared<CountingDataset>();
  const CachedDataset cached(counting);
  std::vector<float> features(2);
  int32_t label = 0;
  EXPECT_THROW(cached.read(3, {features, label}), InvalidArgument);
  expect_sample(cached, 3);
  expect_sample(cached, 3);
  EXPECT_EQ(counting->reads[3], 2);
}

TEST(Cached, ManyThreadsReadTheSameValues) {
  SyntheticOptions options;
  options.samples = 50;
  const auto plain = std::make_shared<SyntheticDataset>(options);
  const CachedDataset cached(plain);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      std::vector<float> expected(784), got(784);
      int32_t expected_label = 0, got_label = 0;
      for (int64_t n = 0; n < 150; ++n) {
        plain->read(n % 50, {expected, expected_label});
        cached.read(n % 50, {got, got_label});
        EXPECT_EQ(got, expected);
        EXPECT_EQ(got_label, expected_label);
      }
    });
  for (std::thread& thread : threads) thread.join();
}

// 10^15 samples cannot be kept, nor does anybody try.
TEST(Cached, SyntheticDataTooLargeToKeepIsStillRead) {
  SyntheticOptions options;
  options.samples = int64_t{1} << 50;
  std::vector<float> features(784);
  int32_t label = -1;
  open_dataset(options, {})->read(options.samples - 1, {features, label});
  EXPECT_EQ(label, (options.samples - 1) % 10);
}

}  // namespace
}  // namespace trireme::launcher

#include "core/program/arena_planner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace trireme::core {
namespace {

bool alive_together(const LiveRange& a, const LiveRange& b) {
  return a.begin <= b.end && b.begin <= a.end;
}

std::vector<LiveRange> random_ranges(std::mt19937& random, int count, int64_t largest, int times) {
  std::vector<LiveRange> ranges;
  for (int i = 0; i < count; ++i) {
    const int begin = static_cast<int>(random() % times);
    const int end = std::min<int>(times - 1, begin + static_cast<int>(random() % times));
    ranges.push_back({static_cast<int64_t>(random() % largest) + 1, begin, end});
  }
  return ranges;
}

void expect_valid(const std::vector<LiveRange>& ranges, const ArenaPlan& plan, int64_t alignment) {
  for (size_t i = 0; i < ranges.size(); ++i) {
    EXPECT_EQ(plan.offsets[i] % alignment, 0);
    EXPECT_LE(plan.offsets[i] + ranges[i].bytes, plan.bytes);
    for (size_t j = 0; j < i; ++j) {
      if (!alive_together(ranges[i], ranges[j])) continue;
      EXPECT_TRUE(plan.offsets[i] + ranges[i].bytes <= plan.offsets[j] ||
                  plan.offsets[j] + ranges[j].bytes <= plan.offsets[i])
          << "ranges " << i << " and " << j << " overlap";
    }
  }
}

// Every assignment of offsets, byte by byte: knows nothing of orders or first fit.
int64_t brute_force(const std::vector<LiveRange>& ranges, std::vector<int64_t>& offsets,
                    int64_t height, int64_t best) {
  const size_t i = offsets.size();
  if (i == ranges.size()) return height;
  for (int64_t offset = 0; offset + ranges[i].bytes < best; ++offset) {
    bool free = true;
    for (size_t j = 0; j < i && free; ++j)
      free = !alive_together(ranges[i], ranges[j]) || offset + ranges[i].bytes <= offsets[j] ||
             offsets[j] + ranges[j].bytes <= offset;
    if (!free) continue;
    offsets.push_back(offset);
    best = std::min(best,
                    brute_force(ranges, offsets, std::max(height, offset + ranges[i].bytes), best));
    offsets.pop_back();
  }
  return best;
}

TEST(ArenaPlanner, NoTwoLiveRangesOverlap) {
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    const auto ranges = random_ranges(random, 1 + static_cast<int>(random() % 60), 5000, 40);
    expect_valid(ranges, plan_arena(ranges, 256), 256);
  }
}

TEST(ArenaPlanner, PeakEqualsBruteForceOnSmallPrograms) {
  std::mt19937 random(2);
  int harder_than_peak = 0;
  for (int round = 0; round < 300; ++round) {
    const auto ranges = random_ranges(random, 2 + static_cast<int>(random() % 5), 5, 6);
    const ArenaPlan plan = plan_arena(ranges, 1);
    expect_valid(ranges, plan, 1);
    std::vector<int64_t> offsets;
    EXPECT_EQ(plan.bytes, brute_force(ranges, offsets, 0, plan.bytes + 1)) << "round " << round;
    harder_than_peak += plan.bytes > peak_live_bytes(ranges, 1);
  }
  RecordProperty("plans_above_the_live_peak", harder_than_peak);
}

// First fit in the order of time needs 7 here, the best order 6.
TEST(ArenaPlanner, FindsAnOrderThatFirstFitByTimeMisses) {
  const std::vector<LiveRange> ranges{{2, 0, 0}, {1, 0, 2}, {3, 1, 2}, {2, 2, 4}, {3, 3, 4}};
  std::vector<int64_t> offsets;
  EXPECT_EQ(plan_arena(ranges, 1).bytes, brute_force(ranges, offsets, 0, 100));
}

TEST(ArenaPlanner, EmptyAndZeroSized) {
  EXPECT_EQ(plan_arena({}).bytes, 0);
  const std::vector<LiveRange> ranges{{0, 0, 5}, {10, 0, 5}};
  EXPECT_EQ(plan_arena(ranges, 256).bytes, 256);
}

}  // namespace
}  // namespace trireme::core

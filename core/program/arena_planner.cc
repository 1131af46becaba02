#include "core/program/arena_planner.h"

#include <algorithm>
#include <numeric>

namespace trireme::core {
namespace {

constexpr size_t kExhaustive = 8;  // ranges; 8! orders take milliseconds

int64_t aligned(int64_t bytes, int64_t alignment) {
  return (bytes + alignment - 1) / alignment * alignment;
}

bool alive_together(const LiveRange& a, const LiveRange& b) {
  return a.begin <= b.end && b.begin <= a.end;
}

// Puts each range of `order` at the lowest offset where it fits among those before it.
class FirstFit {
 public:
  FirstFit(std::span<const LiveRange> ranges, int64_t alignment)
      : ranges_(ranges), alignment_(alignment) {
    placed_.reserve(ranges.size());
  }

  // Gives up, returning a plan of at least `bound` bytes, once it cannot beat it.
  ArenaPlan run(std::span<const int> order, int64_t bound) {
    ArenaPlan plan{.offsets = std::vector<int64_t>(ranges_.size(), 0)};
    placed_.clear();
    for (int i : order) {
      if (ranges_[i].bytes == 0) continue;
      plan.offsets[i] = lowest_gap(i, plan.offsets);
      plan.bytes = std::max(plan.bytes, plan.offsets[i] + aligned(ranges_[i].bytes, alignment_));
      if (plan.bytes >= bound) return plan;
      const auto at = std::ranges::upper_bound(placed_, plan.offsets[i], {},
                                               [&](int placed) { return plan.offsets[placed]; });
      placed_.insert(at, i);
    }
    return plan;
  }

 private:
  int64_t lowest_gap(int i, const std::vector<int64_t>& offsets) const {
    const int64_t bytes = aligned(ranges_[i].bytes, alignment_);
    int64_t offset = 0;
    for (int other : placed_) {  // by rising offset
      if (!alive_together(ranges_[i], ranges_[other])) continue;
      if (offset + bytes <= offsets[other]) break;
      offset = std::max(offset, offsets[other] + aligned(ranges_[other].bytes, alignment_));
    }
    return offset;
  }

  std::span<const LiveRange> ranges_;
  int64_t alignment_;
  std::vector<int> placed_;
};

}  // namespace

int64_t peak_live_bytes(std::span<const LiveRange> ranges, int64_t alignment) {
  int64_t peak = 0;
  for (const LiveRange& at : ranges) {  // the peak is reached where some range begins
    int64_t live = 0;
    for (const LiveRange& range : ranges)
      if (range.begin <= at.begin && at.begin <= range.end) live += aligned(range.bytes, alignment);
    peak = std::max(peak, live);
  }
  return peak;
}

ArenaPlan plan_arena(std::span<const LiveRange> ranges, int64_t alignment) {
  const int64_t lower = peak_live_bytes(ranges, alignment);
  std::vector<int> order(ranges.size());
  std::iota(order.begin(), order.end(), 0);
  FirstFit first_fit(ranges, alignment);
  ArenaPlan best = first_fit.run(order, INT64_MAX);

  const auto attempt = [&](auto before) {
    if (best.bytes == lower) return;
    std::ranges::stable_sort(order, before);
    ArenaPlan plan = first_fit.run(order, best.bytes);
    if (plan.bytes < best.bytes) best = std::move(plan);
  };
  const auto bytes = [&](int i) { return ranges[i].bytes; };
  const auto life = [&](int i) { return ranges[i].end - ranges[i].begin + 1; };
  attempt([&](int a, int b) { return bytes(a) > bytes(b); });
  attempt([&](int a, int b) { return bytes(a) * life(a) > bytes(b) * life(b); });
  attempt([&](int a, int b) { return life(a) > life(b); });
  attempt([&](int a, int b) { return ranges[a].end > ranges[b].end; });

  if (best.bytes > lower && ranges.size() <= kExhaustive) {
    std::ranges::sort(order);
    do {
      ArenaPlan plan = first_fit.run(order, best.bytes);
      if (plan.bytes < best.bytes) best = std::move(plan);
    } while (best.bytes > lower && std::ranges::next_permutation(order).found);
  }
  return best;
}

}  // namespace trireme::core

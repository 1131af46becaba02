// A table of update ranges as one row of elements, cut into equal pieces for the CPU's threads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "core/cpu/parallel.h"
#include "core/optim/optimizer.h"

namespace trireme::core {

class RangeTable {
 public:
  explicit RangeTable(std::span<const UpdateRange> ranges) : ranges_(ranges.begin(), ranges.end()) {
    for (const UpdateRange& range : ranges_) {
      starts_.push_back(elements_);
      elements_ += range.end - range.begin;
    }
  }

  // Calls update(range, begin, end) for parts [begin, end) of the buffer that together cover every
  // range once, on `threads` threads; a part lies within one range.
  template <typename Update>
  void for_each(int threads, const Update& update) const {
    constexpr int64_t kGrain = 1 << 13;
    parallel_for(threads, elements_, kGrain, [&](int64_t first, int64_t last) {
      auto i = std::upper_bound(starts_.begin(), starts_.end(), first) - starts_.begin() - 1;
      for (; first < last; ++i) {
        const UpdateRange& range = ranges_[i];
        const int64_t begin = range.begin + (first - starts_[i]);
        const int64_t end = std::min(range.end, begin + (last - first));
        update(range, begin, end);
        first += end - begin;
      }
    });
  }

 private:
  std::vector<UpdateRange> ranges_;
  std::vector<int64_t> starts_;  // of each range in the row of all elements
  int64_t elements_ = 0;
};

}  // namespace trireme::core

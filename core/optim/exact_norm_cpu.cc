// The gradients' sum of squares without rounding between units, on the CPU.
#include <algorithm>
#include <array>
#include <mutex>

#include "core/cpu/elementwise_loops.h"
#include "core/cpu/parallel.h"
#include "core/optim/exact_sum.h"
#include "core/optim/optimizer.h"

namespace trireme::core {

ExactNormKernel::ExactNormKernel(std::span<const ElementRange> ranges, const KernelContext& context)
    : ranges_(ranges.begin(), ranges.end()), threads_(context.threads) {}

void ExactNormKernel::run(const float* gradients, int64_t* sum) const {
  constexpr int64_t kGrain = 64;  // units of a thread, at least
  std::fill_n(sum, kExactLimbs, 0);
  std::mutex mutex;
  for (const ElementRange& range : ranges_) {
    const int64_t units = (range.elements() + kNormUnit - 1) / kNormUnit;
    parallel_for(threads_, units, kGrain, [&](int64_t first, int64_t last) {
      std::array<int64_t, kExactLimbs> part{};
      for (int64_t unit = first; unit < last; ++unit) {
        const int64_t begin = range.begin + unit * kNormUnit;
        add_exactly(sum_of_squares(gradients + begin, std::min(kNormUnit, range.end - begin)),
                    part.data());
      }
      const std::scoped_lock lock(mutex);
      for (int i = 0; i < kExactLimbs; ++i) sum[i] += part[i];
    });
  }
}

}  // namespace trireme::core

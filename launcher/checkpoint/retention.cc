#include "launcher/checkpoint/retention.h"

#include <algorithm>
#include <set>

namespace trireme::launcher {

std::vector<int64_t> expendable(std::span<const int64_t> steps, const RetentionOptions& options,
                                std::span<const int64_t> best) {
  const std::set<int64_t> all(steps.begin(), steps.end());
  if (options.keep_last <= 0 || all.empty()) return {};
  std::set<int64_t> kept{*all.rbegin()};
  int64_t left = options.keep_last;
  for (auto step = all.rbegin(); step != all.rend() && left > 0; ++step, --left) kept.insert(*step);
  left = options.keep_best;
  for (auto step = best.begin(); step != best.end() && left > 0; ++step)
    if (all.contains(*step)) {
      kept.insert(*step);
      --left;
    }
  std::vector<int64_t> gone;
  for (const int64_t step : all) {
    const bool landmark = options.keep_every > 0 && step % options.keep_every == 0;
    if (!landmark && !kept.contains(step)) gone.push_back(step);
  }
  return gone;
}

}  // namespace trireme::launcher

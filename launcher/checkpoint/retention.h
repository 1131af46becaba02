// Which checkpoints are kept: a pure function of their steps.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace trireme::launcher {

struct RetentionOptions {
  int64_t keep_last = 0;   // of the newest; 0: all
  int64_t keep_every = 0;  // those whose step is a multiple; 0: none for that reason
  int64_t keep_best = 0;   // of those that were judged best; 0: none for that reason
};

// The steps that may go, oldest first. `steps` in any order; `best` the judged ones, best first (it
// may name steps that are not there: these count for nothing). The newest step always stays.
std::vector<int64_t> expendable(std::span<const int64_t> steps, const RetentionOptions& options,
                                std::span<const int64_t> best);

}  // namespace trireme::launcher

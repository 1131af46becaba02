// Sums of (term, weight) pairs over a grid: each block leaves one pair in the workspace, and one
// more block adds the pairs in order. No atomics, so the same bits every time.
#pragma once

#include <cstdint>

#include "core/runtime/stream.h"

namespace trireme::core {

constexpr int kPartialSumBlocks = 1024;
// The workspace of a loss or metric on CUDA, whatever its shape.
constexpr int64_t kPartialSumBytes = kPartialSumBlocks * 2 * sizeof(double);

// sums[0..1] (+)= the sum of pairs[0 .. count).   pairs (count, 2), f64; sums (2), f64
void add_partial_sums(const double* pairs, int count, double* sums, bool accumulate, Stream stream);

}  // namespace trireme::core

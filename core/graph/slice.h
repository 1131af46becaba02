// The part of a parameter that one rank holds, where a rewrite has split it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "core/base/shape.h"

namespace trireme::core {

// The whole parameter, or the given indices of one dimension, one range behind the other. Ranges
// may reach beyond the logical extent: such elements are padding, zero and never saved.
struct Slice {
  Shape logical;  // of the whole parameter; meaningless while dim < 0
  int dim = -1;   // split along it; -1: this is the whole
  std::vector<std::pair<int64_t, int64_t>> ranges;  // [begin, end) of indices along dim

  bool is_whole() const { return dim < 0; }
  bool operator==(const Slice&) const = default;
};

// Calls run(logical_offset, local_offset, elements) for every run of elements that is contiguous
// in the whole parameter and in the local one, both row-major, in the order of the local one.
// Padding is left out.
template <typename Run>
void for_each_run(const Slice& slice, const Shape& local, const Run& run) {
  if (slice.is_whole()) return run(int64_t{0}, int64_t{0}, local.elements());
  int64_t outer = 1, inner = 1;
  for (int d = 0; d < slice.dim; ++d) outer *= slice.logical[d];
  for (int d = slice.dim + 1; d < slice.logical.rank(); ++d) inner *= slice.logical[d];
  const int64_t extent = slice.logical[slice.dim];
  int64_t at = 0;
  for (int64_t o = 0; o < outer; ++o)
    for (const auto& [begin, end] : slice.ranges) {
      const int64_t held = std::max<int64_t>(0, std::min(end, extent) - begin);
      if (held > 0) run((o * extent + begin) * inner, at, held * inner);
      at += (end - begin) * inner;
    }
}

}  // namespace trireme::core

// The slices of the flat buffers that one of several ranks owns, and where they lie when nothing
// else is kept: one behind the other, in a compact buffer.
//
// Every bucket is cut into `degree` equal slices; rank r owns slice r of each. Source: Rajbhandari
// et al., ZeRO: Memory Optimizations Toward Training Trillion Parameter Models (2020).
#pragma once

#include <span>
#include <vector>

#include "core/base/element_range.h"
#include "core/program/flat_layout.h"

namespace trireme::core {

class ShardMap {
 public:
  ShardMap() = default;  // of nothing
  ShardMap(const FlatLayout& layout, int degree, int rank);

  // By bucket: what this rank owns, in the full buffer.
  const std::vector<ElementRange>& slices() const { return slices_; }
  // Where the slice of a bucket starts in the compact buffer.
  int64_t compact_begin(size_t bucket) const { return compact_begins_[bucket]; }
  int64_t elements() const { return elements_; }  // of the compact buffer

  // A piece of a range of the full buffer that is owned, and what to add to its offsets to find it
  // in the compact buffer.
  struct Piece {
    ElementRange range;
    int64_t shift = 0;
  };
  // All pieces of `range`, ascending.
  std::vector<Piece> pieces(ElementRange range) const;

 private:
  std::vector<ElementRange> slices_;
  std::vector<int64_t> compact_begins_;
  int64_t elements_ = 0;
};

}  // namespace trireme::core

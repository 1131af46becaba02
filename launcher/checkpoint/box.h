// Boxes: the elements [origin, origin + extent) of a tensor, axis by axis. How every layout says
// what it holds, so that every layout can read what another wrote.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/shape.h"

namespace trireme::launcher {

struct Box {
  int rank = 0;  // the entries beyond it are zero
  std::array<int64_t, core::Shape::kMaxRank> origin{}, extent{};

  int64_t elements() const;  // of a scalar's box: 1
  bool operator==(const Box&) const = default;
  std::string str() const;  // "[0:3,10:20]"; of a scalar "[]"
};

Box whole_box(const core::Shape& shape);

// Whether `box` has the shape's rank, no empty axis, and no element outside the shape. Whatever the
// numbers: nothing overflows.
bool lies_within(const Box& box, const core::Shape& shape);

// What two boxes of one tensor share; none if they share no element.
std::optional<Box> intersect(const Box& a, const Box& b);

// The position of the box's first element in the row-major order of `shape`.
int64_t first_element(const Box& box, const core::Shape& shape);

// The row-major elements [begin, end) of `shape` as the fewest boxes that are each one run of that
// order, in order: at most 2 x rank - 1. Each box's elements therefore lie in memory one after the
// other, from first_element on. Empty if begin == end.
std::vector<Box> boxes_of_range(const core::Shape& shape, int64_t begin, int64_t end);
// The same of the elements [begin, end) of a box in its own row-major order, as boxes of the
// tensor.
std::vector<Box> boxes_of_range(const Box& box, int64_t begin, int64_t end);

}  // namespace trireme::launcher

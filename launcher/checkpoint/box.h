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

// The position of an element, given by its indices in the tensor, in the row-major order of `box`.
int64_t position(const std::array<int64_t, core::Shape::kMaxRank>& at, const Box& box);

// The row-major elements [begin, end) of `shape` as the fewest boxes that are each one run of that
// order, in order: at most 2 x rank - 1. Each box's elements therefore lie in memory one after the
// other, from first_element on. Empty if begin == end.
std::vector<Box> boxes_of_range(const core::Shape& shape, int64_t begin, int64_t end);
// The same of the elements [begin, end) of a box in its own row-major order, as boxes of the
// tensor.
std::vector<Box> boxes_of_range(const Box& box, int64_t begin, int64_t end);

// Visits the elements that two boxes of one tensor share as runs that are contiguous in the
// row-major order of both: run(first element in a, first element in b, elements).
template <typename Run>
void for_each_run(const Box& a, const Box& b, const Run& run) {
  const std::optional<Box> shared = intersect(a, b);
  if (!shared) return;
  int axis = shared->rank;  // the run spans this axis and all within it
  int64_t length = 1;
  do {
    if (axis == 0) break;
    --axis;
    length *= shared->extent[axis];
  } while (shared->extent[axis] == a.extent[axis] && shared->extent[axis] == b.extent[axis]);
  auto at = shared->origin;
  while (true) {
    run(position(at, a), position(at, b), length);
    int outer = axis - 1;
    for (; outer >= 0; --outer) {
      if (++at[outer] < shared->origin[outer] + shared->extent[outer]) break;
      at[outer] = shared->origin[outer];
    }
    if (outer < 0) return;
  }
}

}  // namespace trireme::launcher

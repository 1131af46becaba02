#include "core/base/shape.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "core/base/error.h"

namespace trireme::core {

Shape::Shape(std::span<const int64_t> dims) {
  if (dims.size() > kMaxRank)
    fail("[shape] has {} dimensions, at most {} are supported", dims.size(), kMaxRank);
  constexpr int64_t kLimit = int64_t{1} << 62;
  int64_t product = 1;
  for (int64_t extent : dims) {
    if (extent < 0) fail("[shape] has a negative dimension: ({})", fmt::join(dims, ", "));
    if (extent > 0 && product > kLimit / extent)
      fail("[shape] has more than 2^62 elements: ({})", fmt::join(dims, ", "));
    if (extent > 0) product *= extent;
    dims_[rank_++] = extent;
  }
}

int64_t Shape::elements() const {
  int64_t product = 1;
  for (int64_t extent : dims()) product *= extent;
  return product;
}

int64_t Shape::elements_per_row() const {
  int64_t product = 1;
  for (int axis = 1; axis < rank_; ++axis) product *= dims_[axis];
  return product;
}

Shape Shape::with_dim(int axis, int64_t extent) const {
  Shape result = *this;
  result.dims_[axis < 0 ? axis + rank_ : axis] = extent;
  return result;
}

bool Shape::operator==(const Shape& other) const {
  return std::ranges::equal(dims(), other.dims());
}

std::string Shape::str() const { return fmt::format("({})", fmt::join(dims(), ", ")); }

std::string ValueType::str() const { return fmt::format("{}{}", name_of(dtype), shape.str()); }

}  // namespace trireme::core

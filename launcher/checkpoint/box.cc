#include "launcher/checkpoint/box.h"

#include <fmt/format.h>

#include <algorithm>

namespace trireme::launcher {

int64_t Box::elements() const {
  int64_t product = 1;
  for (int axis = 0; axis < rank; ++axis) product *= extent[axis];
  return product;
}

std::string Box::str() const {
  std::string text = "[";
  for (int axis = 0; axis < rank; ++axis)
    text += fmt::format("{}{}:{}", axis == 0 ? "" : ",", origin[axis], origin[axis] + extent[axis]);
  return text + "]";
}

Box whole_box(const core::Shape& shape) {
  Box box{.rank = shape.rank()};
  std::ranges::copy(shape.dims(), box.extent.begin());
  return box;
}

bool lies_within(const Box& box, const core::Shape& shape) {
  if (box.rank != shape.rank()) return false;
  for (int axis = 0; axis < box.rank; ++axis) {
    const int64_t origin = box.origin[axis], extent = box.extent[axis];
    if (origin < 0 || extent < 1 || extent > shape[axis] || origin > shape[axis] - extent)
      return false;
  }
  return true;
}

std::optional<Box> intersect(const Box& a, const Box& b) {
  Box shared{.rank = a.rank};
  for (int axis = 0; axis < a.rank; ++axis) {
    const int64_t begin = std::max(a.origin[axis], b.origin[axis]);
    const int64_t end = std::min(a.origin[axis] + a.extent[axis], b.origin[axis] + b.extent[axis]);
    if (begin >= end) return std::nullopt;
    shared.origin[axis] = begin;
    shared.extent[axis] = end - begin;
  }
  return shared;
}

int64_t first_element(const Box& box, const core::Shape& shape) {
  int64_t element = 0;
  for (int axis = 0; axis < box.rank; ++axis) element = element * shape[axis] + box.origin[axis];
  return element;
}

int64_t position(const std::array<int64_t, core::Shape::kMaxRank>& at, const Box& box) {
  int64_t position = 0;
  for (int axis = 0; axis < box.rank; ++axis)
    position = position * box.extent[axis] + (at[axis] - box.origin[axis]);
  return position;
}

std::vector<Box> boxes_of_range(const core::Shape& shape, int64_t begin, int64_t end) {
  // Elements of one step along each axis: strides[rank - 1] == 1.
  std::array<int64_t, core::Shape::kMaxRank + 1> strides{};
  strides[shape.rank()] = 1;
  for (int axis = shape.rank() - 1; axis >= 0; --axis)
    strides[axis] = strides[axis + 1] * shape[axis];

  std::vector<Box> boxes;
  while (begin < end) {
    // The longest run from `begin`: steps along the outermost axis whose inner axes start at 0.
    int axis = shape.rank() - 1;
    while (axis > 0 && begin % strides[axis] == 0 && end - begin >= strides[axis]) --axis;
    Box box = whole_box(shape);
    for (int outer = 0; outer <= axis; ++outer) {
      box.origin[outer] = begin / strides[outer + 1] % shape[outer];
      box.extent[outer] = 1;
    }
    if (axis >= 0)
      box.extent[axis] =
          std::min(shape[axis] - box.origin[axis], (end - begin) / strides[axis + 1]);
    begin += box.elements();
    boxes.push_back(box);
  }
  return boxes;
}

std::vector<Box> boxes_of_range(const Box& box, int64_t begin, int64_t end) {
  const core::Shape extent(std::span(box.extent).first(box.rank));
  std::vector<Box> boxes = boxes_of_range(extent, begin, end);
  for (Box& part : boxes)
    for (int axis = 0; axis < box.rank; ++axis) part.origin[axis] += box.origin[axis];
  return boxes;
}

}  // namespace trireme::launcher

#include "launcher/checkpoint/box.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>

namespace trireme::launcher {
namespace {

using core::Shape;

// The row-major elements of a box, by the definition.
std::vector<int64_t> elements_of(const Box& box, const Shape& shape) {
  std::vector<int64_t> elements;
  for (int64_t i = 0; i < shape.elements(); ++i) {
    int64_t rest = i;
    bool inside = true;
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
      const int64_t at = rest % shape[axis];
      rest /= shape[axis];
      inside = inside && at >= box.origin[axis] && at < box.origin[axis] + box.extent[axis];
    }
    if (inside) elements.push_back(i);
  }
  return elements;
}

// Whether [begin, end) is one box, by trying the box that its first and last element span.
bool is_one_box(const Shape& shape, int64_t begin, int64_t end) {
  Box box{.rank = shape.rank()};
  int64_t first = begin, last = end - 1;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    box.origin[axis] = first % shape[axis];
    box.extent[axis] = last % shape[axis] - box.origin[axis] + 1;
    if (box.extent[axis] < 1) return false;
    first /= shape[axis];
    last /= shape[axis];
  }
  return box.elements() == end - begin;
}

// The least number of boxes that are runs, by dynamic programming over all cuts.
int fewest(const Shape& shape, int64_t begin, int64_t end) {
  std::vector<int> best(end - begin + 1, 0);
  for (int64_t to = begin + 1; to <= end; ++to) {
    best[to - begin] = 1 << 20;
    for (int64_t from = begin; from < to; ++from)
      if (is_one_box(shape, from, to))
        best[to - begin] = std::min(best[to - begin], best[from - begin] + 1);
  }
  return best[end - begin];
}

TEST(Box, RangesAreTheFewestBoxesInOrder) {
  for (const Shape& shape : {Shape{}, Shape{7}, Shape{3, 5}, Shape{1, 6}, Shape{5, 1},
                             Shape{2, 3, 4}, Shape{3, 1, 2, 3}, Shape{2, 1, 2, 1, 2, 2}})
    for (int64_t begin = 0; begin <= shape.elements(); ++begin)
      for (int64_t end = begin; end <= shape.elements(); ++end) {
        const std::vector<Box> boxes = boxes_of_range(shape, begin, end);
        int64_t at = begin;
        for (const Box& box : boxes) {
          ASSERT_TRUE(lies_within(box, shape)) << box.str();
          ASSERT_EQ(first_element(box, shape), at) << shape.str() << box.str();
          std::vector<int64_t> run(box.elements());
          std::iota(run.begin(), run.end(), at);
          ASSERT_EQ(elements_of(box, shape), run) << shape.str() << box.str();
          at += box.elements();
        }
        ASSERT_EQ(at, end);
        ASSERT_EQ(std::ssize(boxes), fewest(shape, begin, end))
            << shape.str() << " " << begin << " " << end;
      }
}

TEST(Box, IntersectsElementByElement) {
  const Shape shape{3, 4};
  std::vector<Box> all;
  for (int64_t a = 0; a < 3; ++a)
    for (int64_t b = a + 1; b <= 3; ++b)
      for (int64_t c = 0; c < 4; ++c)
        for (int64_t d = c + 1; d <= 4; ++d)
          all.push_back({.rank = 2, .origin = {a, c}, .extent = {b - a, d - c}});
  for (const Box& a : all)
    for (const Box& b : all) {
      std::vector<int64_t> expected;
      const auto in_a = elements_of(a, shape), in_b = elements_of(b, shape);
      std::ranges::set_intersection(in_a, in_b, std::back_inserter(expected));
      const auto shared = intersect(a, b);
      ASSERT_EQ(shared ? elements_of(*shared, shape) : std::vector<int64_t>{}, expected);
    }
}

TEST(Box, NoNumbersOverflow) {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  const Shape shape{4, 4};
  EXPECT_TRUE(lies_within({.rank = 2, .origin = {3, 0}, .extent = {1, 4}}, shape));
  EXPECT_FALSE(lies_within({.rank = 2, .origin = {3, 0}, .extent = {2, 4}}, shape));
  EXPECT_FALSE(lies_within({.rank = 2, .origin = {1, 0}, .extent = {kMost, 4}}, shape));
  EXPECT_FALSE(lies_within({.rank = 2, .origin = {kMost, 0}, .extent = {1, 4}}, shape));
  EXPECT_FALSE(lies_within({.rank = 2, .origin = {-1, 0}, .extent = {1, 4}}, shape));
  EXPECT_FALSE(lies_within({.rank = 2, .origin = {0, 0}, .extent = {0, 4}}, shape));
  EXPECT_FALSE(lies_within({.rank = 1, .extent = {4}}, shape));
  EXPECT_TRUE(lies_within(Box{}, Shape{}));
}

TEST(Box, Str) {
  EXPECT_EQ((Box{.rank = 2, .origin = {1, 10}, .extent = {3, 5}}.str()), "[1:4,10:15]");
  EXPECT_EQ(Box{}.str(), "[]");
}

}  // namespace
}  // namespace trireme::launcher

#include "core/ops/pool2d.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/base/error.h"
#include "core/ops/pool2d_shape.h"
#include "tests/support/op_check.h"
#include "tests/support/pool2d_cases.h"
#include "tests/support/references.h"

namespace trireme::test {
namespace {

using core::DType;
using core::Pool2d;
using core::Pool2dOptions;
using core::PoolKind;
using core::Shape;
using core::ValueType;

void check_everywhere(Shape x, Pool2dOptions options) {
  for (int threads : {1, 2, 3}) {
    auto device = make_cpu_op_device(threads);
    for (PoolKind kind : {PoolKind::kMax, PoolKind::kAverage}) {
      options.kind = kind;
      check_op(*device, pool2d_case(x, options));
    }
  }
}

TEST(Pool2d, TwoByTwo) {
  check_everywhere({1, 2, 2, 1}, {});
  check_everywhere({7, 6, 4, 6}, {});
  check_everywhere({2, 5, 7, 3}, {});  // a row and a column are left over
  check_everywhere({3, 4, 6, 16}, {});
  check_everywhere({2, 4, 4, 17}, {});
  check_everywhere({1, 14, 14, 37}, {});
}

TEST(Pool2d, WindowsOverlapPadAndLeaveGaps) {
  check_everywhere({2, 7, 7, 5}, {.kernel_h = 3, .kernel_w = 3, .pad_h = 1, .pad_w = 1});
  check_everywhere({2, 7, 8, 3}, {.kernel_h = 3, .kernel_w = 2, .stride_h = 1, .stride_w = 1});
  check_everywhere({2, 9, 8, 3}, {.kernel_h = 2, .kernel_w = 1, .stride_h = 3, .stride_w = 4});
  check_everywhere({1, 5, 5, 4}, {.kernel_h = 5, .kernel_w = 5, .stride_h = 1, .stride_w = 1});
  check_everywhere({2, 5, 6, 3}, {.pad_h = 1, .pad_w = 1});
  check_everywhere({2, 5, 6, 3}, {.pad_h = 1, .pad_w = 1, .count_include_pad = true});
}

// More than 256 places do not fit a byte.
TEST(Pool2d, LargeWindows) {
  check_everywhere({1, 17, 17, 1}, {.kernel_h = 17, .kernel_w = 16, .stride_h = 1, .stride_w = 1});
  const ValueType x{{1, 18, 19, 2}, DType::kF32};
  EXPECT_EQ(Pool2d({.kernel_h = 16, .kernel_w = 16}).infer({&x, 1})[1].dtype, DType::kU8);
  EXPECT_EQ(Pool2d({.kernel_h = 17, .kernel_w = 16}).infer({&x, 1})[1].dtype, DType::kI32);
}

TEST(Pool2d, TheFirstOfEqualsWins) {
  auto device = make_cpu_op_device(1);
  const HostTensor x = tensor_of(DType::kF32, {1, 2, 4, 1}, {1, 3, 2, 2, 3, 0, 2, 2});
  const auto got = run_op(*device, Pool2d({}), {x});
  EXPECT_EQ(got[0].values, (std::vector<double>{3, 2}));
  EXPECT_EQ(got[1].values, (std::vector<double>{1, 0}));
}

TEST(Pool2d, ANanIsNotLost) {
  auto device = make_cpu_op_device(1);
  for (int64_t channels : {1, 6, 16})
    for (int64_t place = 0; place < 4; ++place) {
      HostTensor x = Random(5).normal({1, 2, 2, channels});
      x.values[place * channels] = std::numeric_limits<double>::quiet_NaN();
      const auto got = run_op(*device, Pool2d({}), {x});
      EXPECT_TRUE(std::isnan(got[0].values[0]));
      EXPECT_EQ(got[1].values[0], static_cast<double>(place));
    }
}

TEST(Pool2d, RefusesWhatDoesNotFit) {
  const auto f32 = [](Shape shape) { return ValueType{shape, DType::kF32}; };
  expect_refusal(
      Pool2d({.kernel_h = 3, .kernel_w = 3}), {f32({2, 2, 5, 1})},
      "[max_pool2d] expects a window no larger than the padded image (2, 5), got (3, 3)");
  expect_refusal(
      Pool2d({.kind = PoolKind::kAverage, .pad_h = 2}), {f32({2, 2, 5, 1})},
      "[average_pool2d] expects padding from 0 to half of the window (2, 2), got (2, 0)");
  expect_refusal(Pool2d({.stride_w = 0}), {f32({2, 2, 5, 1})},
                 "[max_pool2d] expects a window and strides of at least 1, got window (2, 2), "
                 "stride (2, 0)");
  expect_refusal(Pool2d({}), {f32({2, 5, 5})},
                 "[max_pool2d] expects x f32(N, H, W, C), not empty, got f32(2, 5, 5)");
  expect_refusal(Pool2d({}), {}, "[max_pool2d] expects one input, got 0 inputs");
  const core::Pool2dGrad gradient({}, {2, 4, 4, 3});
  expect_refusal(gradient, {f32({2, 2, 3, 3}), {{2, 2, 2, 3}, DType::kU8}},
                 "[pool2d_grad] expects dy f32(2, 2, 2, 3), got f32(2, 2, 3, 3)");
  expect_refusal(gradient, {f32({2, 2, 2, 3}), {{2, 2, 2, 3}, DType::kI32}},
                 "[pool2d_grad] expects which u8(2, 2, 2, 3), got i32(2, 2, 2, 3)");
}

}  // namespace
}  // namespace trireme::test

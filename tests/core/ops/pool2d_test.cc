#include "core/ops/pool2d.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/base/error.h"
#include "core/ops/pool2d_shape.h"
#include "tests/support/op_check.h"
#include "tests/support/references.h"

namespace trireme::test {
namespace {

using core::DType;
using core::Pool2d;
using core::Pool2dOptions;
using core::PoolKind;
using core::Shape;
using core::ValueType;

// {y, which} of one window.
std::pair<double, double> pool_window(const Pool2dOptions& options, const core::Pool2dShape& s,
                                      const std::vector<double>& x, int64_t n, int64_t oh,
                                      int64_t ow, int64_t c) {
  double largest = -std::numeric_limits<double>::infinity(), sum = 0;
  int64_t which = -1, inside = 0;
  for (int64_t i = 0; i < options.kernel_h; ++i)
    for (int64_t j = 0; j < options.kernel_w; ++j) {
      const int64_t h = oh * options.stride_h - options.pad_h + i;
      const int64_t w = ow * options.stride_w - options.pad_w + j;
      if (h < 0 || h >= s.h || w < 0 || w >= s.w) continue;
      const double value = x[((n * s.h + h) * s.w + w) * s.c + c];
      if (value > largest) {
        largest = value;
        which = i * options.kernel_w + j;
      }
      sum += value;
      ++inside;
    }
  if (options.kind == PoolKind::kMax) return {largest, static_cast<double>(which)};
  if (options.count_include_pad) inside = options.kernel_h * options.kernel_w;
  return {sum / static_cast<double>(inside), 0};
}

std::vector<std::vector<double>> reference(const Pool2dOptions& options, const HostTensor& x) {
  const core::Pool2dShape s = core::pool_shape(options, x.type.shape);
  std::vector<double> y, which;
  for (int64_t n = 0; n < s.n; ++n)
    for (int64_t oh = 0; oh < s.oh; ++oh)
      for (int64_t ow = 0; ow < s.ow; ++ow)
        for (int64_t c = 0; c < s.c; ++c) {
          const auto [value, place] = pool_window(options, s, x.values, n, oh, ow, c);
          y.push_back(value);
          which.push_back(place);
        }
  if (options.kind == PoolKind::kMax) return {y, which};
  return {y};
}

OpCase pool_case(Shape x, Pool2dOptions options) {
  Random random(static_cast<uint64_t>(x.elements()));
  OpCase op_case{
      .name = fmt::format("pool2d {} {} ({}, {}) stride ({}, {}) pad ({}, {})",
                          options.kind == PoolKind::kMax ? "max" : "average", x.str(),
                          options.kernel_h, options.kernel_w, options.stride_h, options.stride_w,
                          options.pad_h, options.pad_w),
      .op = std::make_shared<Pool2d>(options),
      .inputs = {random.distinct(x)},
      .reference = [options](const auto& inputs) { return reference(options, inputs[0]); }};
  op_case.activations = {0};
  return op_case;
}

void check_everywhere(Shape x, Pool2dOptions options) {
  for (int threads : {1, 2, 3}) {
    auto device = make_cpu_op_device(threads);
    for (PoolKind kind : {PoolKind::kMax, PoolKind::kAverage}) {
      options.kind = kind;
      check_op(*device, pool_case(x, options));
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

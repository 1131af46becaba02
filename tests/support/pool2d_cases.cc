#include "tests/support/pool2d_cases.h"

#include <fmt/format.h>

#include <limits>

#include "core/ops/pool2d_shape.h"

namespace trireme::test {
namespace {

using core::Pool2dOptions;
using core::PoolKind;
using core::Shape;

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

}  // namespace

OpCase pool2d_case(Shape x, Pool2dOptions options) {
  Random random(static_cast<uint64_t>(x.elements()));
  OpCase op_case{
      .name = fmt::format("pool2d {} {} ({}, {}) stride ({}, {}) pad ({}, {})",
                          options.kind == PoolKind::kMax ? "max" : "average", x.str(),
                          options.kernel_h, options.kernel_w, options.stride_h, options.stride_w,
                          options.pad_h, options.pad_w),
      .op = std::make_shared<core::Pool2d>(options),
      .inputs = {random.distinct(x)},
      .reference = [options](const auto& inputs) { return reference(options, inputs[0]); }};
  op_case.activations = {0};
  return op_case;
}

std::vector<OpCase> pool2d_cases() {
  const std::pair<Shape, Pool2dOptions> windows[] = {
      {{1, 2, 2, 1}, {}},
      {{2, 5, 7, 3}, {}},
      {{3, 4, 6, 16}, {}},
      {{2, 4, 4, 17}, {}},
      {{2, 7, 7, 5}, {.kernel_h = 3, .kernel_w = 3, .pad_h = 1, .pad_w = 1}},
      {{2, 7, 8, 4}, {.kernel_h = 3, .kernel_w = 2, .stride_h = 1, .stride_w = 1}},
      {{2, 9, 8, 3}, {.kernel_h = 2, .kernel_w = 1, .stride_h = 3, .stride_w = 4}},
      {{2, 5, 6, 8}, {.pad_h = 1, .pad_w = 1}},
      {{2, 5, 6, 3}, {.pad_h = 1, .pad_w = 1, .count_include_pad = true}},
      {{1, 17, 17, 1}, {.kernel_h = 17, .kernel_w = 16, .stride_h = 1, .stride_w = 1}},
  };
  std::vector<OpCase> cases;
  for (auto [x, options] : windows)
    for (PoolKind kind : {PoolKind::kMax, PoolKind::kAverage}) {
      options.kind = kind;
      cases.push_back(pool2d_case(x, options));
    }
  return cases;
}

}  // namespace trireme::test

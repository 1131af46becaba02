// The sizes of a convolution, read off its operands' shapes.
#pragma once

#include "core/base/shape.h"
#include "core/ops/conv2d.h"

namespace trireme::core {

struct Conv2dShape {
  int64_t n, h, w, c;  // of x
  int64_t oh, ow, o;   // of y
  int64_t kh, kw;

  int64_t rows() const { return n * oh * ow; }
};

// OH or OW of `extent`, 0 or less if the window does not fit.
constexpr int64_t conv_extent(int64_t extent, int64_t kernel, int64_t stride, int64_t pad,
                              int64_t dilation) {
  const int64_t room = extent + 2 * pad - dilation * (kernel - 1) - 1;
  return room < 0 ? 0 : room / stride + 1;
}

// The operands must have passed the shape rule.
inline Conv2dShape conv_shape(const Conv2dOptions& options, const Shape& x, const Shape& weight) {
  return {.n = x[0],
          .h = x[1],
          .w = x[2],
          .c = x[3],
          .oh = conv_extent(x[1], weight[1], options.stride_h, options.pad_h, options.dilation_h),
          .ow = conv_extent(x[2], weight[2], options.stride_w, options.pad_w, options.dilation_w),
          .o = weight[0],
          .kh = weight[1],
          .kw = weight[2]};
}

}  // namespace trireme::core

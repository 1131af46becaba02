// The sizes of a pooling, read off its input's shape.
#pragma once

#include "core/base/shape.h"
#include "core/ops/pool2d.h"

namespace trireme::core {

struct Pool2dShape {
  int64_t n, h, w, c;  // of x
  int64_t oh, ow;      // of y
};

// The operands must have passed the shape rule.
inline Pool2dShape pool_shape(const Pool2dOptions& options, const Shape& x) {
  const auto extent = [](int64_t in, int64_t kernel, int64_t stride, int64_t pad) {
    const int64_t room = in + 2 * pad - kernel;
    return room < 0 ? int64_t{0} : room / stride + 1;
  };
  return {.n = x[0],
          .h = x[1],
          .w = x[2],
          .c = x[3],
          .oh = extent(x[1], options.kernel_h, options.stride_h, options.pad_h),
          .ow = extent(x[2], options.kernel_w, options.stride_w, options.pad_w)};
}

// The element type of `which`: places in windows of up to 256 elements fit a byte.
inline DType pool_which_dtype(const Pool2dOptions& options) {
  return options.kernel_h * options.kernel_w <= 256 ? DType::kU8 : DType::kI32;
}

}  // namespace trireme::core

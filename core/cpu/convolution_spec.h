// A convolution's sizes, for the code that computes it.
#pragma once

#include <cstdint>

#include "core/base/activation_kind.h"

namespace trireme::core {

// Images x (n, h, w, c) and y (n, oh, ow, o); the weight is (o, kh, kw, c / groups).
struct ConvolutionSpec {
  int64_t n = 0, h = 0, w = 0, c = 0;
  int64_t o = 0, oh = 0, ow = 0;
  int64_t kh = 0, kw = 0, groups = 1;
  int64_t stride_h = 1, stride_w = 1;
  int64_t pad_h = 0, pad_w = 0;
  int64_t dilation_h = 1, dilation_w = 1;
  bool bias = false;
  ActivationKind activation = ActivationKind::kNone;  // forward only
};

}  // namespace trireme::core

// Cases of linear and conv2d against plain loops in double, apart from where they run.
#pragma once

#include "core/ops/conv2d.h"
#include "core/ops/linear.h"
#include "tests/support/op_check.h"

namespace trireme::test {

// x (..., I) and a weight (out, I); forward, and the gradient of every operand. relu needs a bias:
// without one, pre-activations of 0 would lie on its kink.
OpCase linear_case(core::Shape x, int64_t out, bool bias, core::ActivationKind kind);
// x (N, H, W, C), weight (O, KH, KW, C / groups).
OpCase conv2d_case(core::Shape x, core::Shape weight, core::Conv2dOptions options, bool bias);

}  // namespace trireme::test

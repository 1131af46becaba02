// Cases of pooling against plain loops in double, apart from where they run.
#pragma once

#include <vector>

#include "core/ops/pool2d.h"
#include "tests/support/op_check.h"

namespace trireme::test {

// x (N, H, W, C); forward and gradient.
OpCase pool2d_case(core::Shape x, core::Pool2dOptions options);

// Both kinds over windows that overlap, pad, leave gaps and rows over; places in u8 and i32;
// channels that divide by 4 and that do not.
std::vector<OpCase> pool2d_cases();

}  // namespace trireme::test

// Linear and its gradients with bf16 and f16 operands against loops in double over operands that
// were rounded first, on any device.
#pragma once

#include "tests/support/op_check.h"

namespace trireme::test {

// `dtype`: kBF16 or kF16, whose gradients then go through a loss scale.
void check_linear_half(OpDevice& device, core::DType dtype);

}  // namespace trireme::test

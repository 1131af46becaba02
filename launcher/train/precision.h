// train.precision: what products multiply, and what a device can multiply.
#pragma once

#include "core/base/dtype.h"
#include "core/runtime/stream.h"
#include "launcher/job/options.h"

namespace trireme::launcher {

core::DType operands_of(Precision precision);

// Throws InvalidArgument, opened with the field's place and closed with the fix, if this machine's
// CPU has no such products. GPUs have all.
void check_precision(const JobOptions& job, core::DeviceKind device);

}  // namespace trireme::launcher

// How many batches of inputs a schedule has in use at one time.
#pragma once

#include "core/program/program.h"

namespace trireme::core {

// Batches come in the order of their micro-batches, each when a segment first reads it, and stay
// until the last segment that reads them. At least 1.
int input_sets(const Program& program);

}  // namespace trireme::core

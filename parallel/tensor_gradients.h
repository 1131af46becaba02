// Gradients that are partial sums over the tensor axis.
#pragma once

#include <vector>

#include "core/program/flat_layout.h"
#include "core/program/program.h"
#include "parallel/data_sharding.h"

namespace trireme::parallel {

// Sums over the tensor axis of the gradients that are partial there (Value::partial_gradient): of
// what this rank holds of them after the sum over the data ranks. To be made once a step, on the
// data stream behind that sum.
std::vector<core::PlannedCollective> partial_gradient_sums(const DataSharding& sharding);

}  // namespace trireme::parallel

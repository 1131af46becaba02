// Gradients over the tensor axis: what has to be added up, and what counts in the norm.
#pragma once

#include <vector>

#include "core/program/flat_layout.h"
#include "core/program/program.h"
#include "parallel/data_sharding.h"

namespace trireme::parallel {

// Sums over the tensor axis of the gradients that are partial there (Value::partial_gradient): of
// what this rank holds of them after the sum over the data ranks. To be made once a step, on the
// data stream behind that sum.
std::vector<core::PlannedCollective> partial_gradient_sums(const core::FlatLayout& layout,
                                                           const DataSharding& sharding);

// The trained parameters that a rank counts in the global norm: its slices, and what the ranks of
// the tensor axis hold in common on the first of them.
std::vector<core::ElementRange> counted_gradients(const core::FlatLayout& layout, int tensor_rank);

}  // namespace trireme::parallel

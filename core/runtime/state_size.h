// How large the flat buffers of a rank are, without allocating one.
#pragma once

#include "core/runtime/flat_state.h"

namespace trireme::core {

// Elements of a buffer that one rank allocates; whether the run has it or not.
int64_t state_elements(const FlatLayout& layout, const StateSharding& sharding, StateBuffer which);

}  // namespace trireme::core

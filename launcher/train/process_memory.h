// What the system counts as this process's memory, for comparison with what was planned.
#pragma once

#include <cstdint>
#include <vector>

#include "comm/communicator.h"

namespace trireme::launcher {

struct ProcessMemory {
  int64_t resident = 0;  // bytes now
  int64_t peak = 0;      // the most so far
};

// Of /proc/self/status; zeros where there is none.
ProcessMemory process_memory();

// One rank's `value`, of all ranks, on every rank. Collective.
std::vector<int64_t> gather_value(comm::Communicator& group, int64_t value);

}  // namespace trireme::launcher

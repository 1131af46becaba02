// Ranks as threads, for tests: no mpirun, no GPU.
#pragma once

#include <functional>

#include "comm/communicator.h"

namespace trireme::testing {

// Calls body(communicator) on `ranks` threads, each with its own rank of one group and its own comm
// thread, and returns when all have ended. The first rank that throws ends the others' collectives
// with an error; what it threw is rethrown here. gtest's EXPECT_* may be used on any rank; use
// exceptions, not ASSERT_*, to leave a rank early.
//
// What a rank puts on a stream must be done, or its buffers outlive `body`, when it returns.
void run_ranks(int ranks, const std::function<void(comm::Communicator&)>& body);

}  // namespace trireme::testing

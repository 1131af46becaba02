// What every communicator must do, whatever carries it: the same cases run over ranks as threads
// (thread_communicator_test.cc) and over MPI (mpi_suite.cc).
//
// A case runs on all ranks of a group at once and throws where something is wrong; an exception,
// unlike a gtest assertion, ends the other ranks too.
#pragma once

#include <span>

#include "comm/communicator.h"

namespace trireme::comm {

struct SuiteCase {
  const char* name;
  void (*run)(Communicator& communicator);
};

std::span<const SuiteCase> suite();

}  // namespace trireme::comm

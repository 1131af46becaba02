// Counts calls of operator new by this process's own code, for tests that a step makes none.
//
// Calls made from inside oneDNN and the OpenMP runtime are theirs (an execution context each run)
// and are not counted: the caller's address tells. Under sanitizers, which replace operator new
// themselves, there is no counting, and TRIREME_COUNTS_ALLOCATIONS is not defined.
#pragma once

#include <cstdint>
#include <string>

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define TRIREME_COUNTS_ALLOCATIONS 1
#endif

namespace trireme::test {

#ifdef TRIREME_COUNTS_ALLOCATIONS
// Counts on the calling thread from its making to its end. One at a time.
class AllocationCounter {
 public:
  AllocationCounter();
  ~AllocationCounter();
  int64_t allocations() const;
  std::string first_caller() const;  // "library+0x1234", for addr2line
};
#endif

}  // namespace trireme::test

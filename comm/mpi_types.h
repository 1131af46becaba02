// MPI's words for ours. Included by comm's MPI sources alone: nobody else sees mpi.h.
#pragma once

#include <mpi.h>

#include <array>
#include <cstdint>
#include <source_location>
#include <string>

#include "comm/communicator.h"

namespace trireme::comm {

// Throws SystemError "[mpi] what: the library's own words".
void check(int status, const std::string& what,
           std::source_location where = std::source_location::current());

MPI_Datatype mpi_type(DType dtype);

// f16 and bf16 travel as 16-bit integers and are reduced by operators of our own, which widen to
// f32, combine two values and round. Made once, on the comm thread, and left to MPI_Finalize.
class MpiOps {
 public:
  MpiOps();
  MPI_Op of(DType dtype, ReduceOp op) const;

 private:
  std::array<MPI_Op, 6> half_;  // [bf16][op]
};

// `count` elements as MPI says it: counts beyond `largest` become one element of a derived type,
// which MPI's int counts cannot overflow. Freed by `free_block`, after the call it was used in.
struct MpiBlock {
  int count = 0;
  MPI_Datatype type = MPI_DATATYPE_NULL;
  bool derived = false;
};
MpiBlock make_block(int64_t count, DType dtype, int64_t largest);
void free_block(MpiBlock& block);

}  // namespace trireme::comm

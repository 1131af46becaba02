// The global batch cut into ranks and micro-batches.
#pragma once

#include <cstdint>

namespace trireme::parallel {

struct BatchSplit {
  int64_t global_batch = 1;
  int64_t per_rank = 1;     // samples a step
  int64_t micro_batch = 1;  // samples a forward pass
  int micro_batches = 1;    // of one rank in a step

  int64_t offset(int data_rank) const { return data_rank * per_rank; }
};

// `micro_batch` 0 means the rank's whole share. Throws InvalidArgument with the nearest values that
// divide if `data_ranks` does not divide global_batch or micro_batch does not divide the share.
BatchSplit split_batch(int64_t global_batch, int64_t micro_batch, int data_ranks);

}  // namespace trireme::parallel

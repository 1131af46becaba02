// The global batch cut into ranks, leaves and micro-batches.
//
// With train.determinism LAYOUT a step's rows are cut into V leaves, the same ones whatever the
// layout, each of so many micro-batches. Gradients are added up within a leaf, and leaves in one
// binary tree over their numbers. Data rank d of D has leaves d V / D and those behind it, which
// are a subtree; or, dealt out in turn, leaves d, d + D, ..., so that those that all ranks have at
// one time are a subtree.
#pragma once

#include <cstdint>

namespace trireme::parallel {

struct BatchSplit {
  int64_t global_batch = 1;
  int64_t per_rank = 1;     // samples a step
  int64_t micro_batch = 1;  // samples a forward pass
  int micro_batches = 1;    // of one rank in a step
  int leaves = 0;           // of one rank in a step; 0: the sums' order depends on the layout
  int data_ranks = 1;
  bool dealt = false;  // the leaves

  // The first row of a rank.
  int64_t offset(int data_rank) const { return data_rank * (dealt ? leaf_rows() : per_rank); }
  // The first row of a micro-batch.
  int64_t first_row(int data_rank, int number) const {
    return offset(data_rank) + number * micro_batch + number / leaf_micro_batches() * leaf_skip();
  }
  int leaf_micro_batches() const { return leaves == 0 ? micro_batches : micro_batches / leaves; }
  int64_t leaf_rows() const { return leaf_micro_batches() * micro_batch; }
  // Rows of other ranks between two leaves of one.
  int64_t leaf_skip() const { return dealt ? (data_ranks - 1) * leaf_rows() : 0; }
};

// `micro_batch` 0 means the rank's whole share. Throws InvalidArgument with the nearest values that
// divide if `data_ranks` does not divide global_batch or micro_batch does not divide the share.
BatchSplit split_batch(int64_t global_batch, int64_t micro_batch, int data_ranks);

// Into `leaves` over all ranks; `micro_batch` 0 means a whole leaf. They are dealt out for ZeRO 2
// and 3. Throws InvalidArgument, opened with the job's field, if the leaves are no power of two or
// do not divide global_batch, data_ranks does not divide the leaves, or micro_batch a leaf.
BatchSplit split_leaves(int64_t global_batch, int64_t micro_batch, int data_ranks, int leaves,
                        int zero);

}  // namespace trireme::parallel

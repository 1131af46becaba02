// Which sample stands in which row of which batch, on any rank: a function of numbers, no state.
//
// A step's global batch is rows [step * global_batch, (step + 1) * global_batch) of one long list
// of draws. Rank r of R takes its r-th part of it, or parts of `dealt_rows` in turn with the others;
// micro-batch m is the m-th part of the rank's. So
// the samples of a step do not depend on how many ranks there are, and the data state of a run is
// the number of attempted steps.
#pragma once

#include <cstdint>

#include "core/random/bijection.h"
#include "core/random/philox.h"

namespace trireme::launcher {

// How the rows of a step fall to ranks and micro-batches. All divide evenly.
struct BatchShare {
  int64_t global_batch = 0;
  int64_t ranks = 1;
  int64_t rank = 0;
  int64_t micro_batch = 0;  // rows
  int64_t dealt_rows = 0;   // 0: a rank's rows are in one piece

  int64_t local_batch() const { return global_batch / ranks; }
  int64_t micro_batches() const { return local_batch() / micro_batch; }
  // The place of micro-batch m's first row within the step's global batch.
  int64_t first_row(int64_t m) const {
    const int64_t piece = dealt_rows > 0 ? dealt_rows : local_batch(), row = m * micro_batch;
    return rank * piece + row + row / piece * (ranks - 1) * piece;
  }
  // Throws InvalidArgument if something is not positive or does not divide.
  void check() const;
};

struct Draw {
  int64_t index = 0;  // of the dataset
  float weight = 1;   // 0: padding, there is nothing to read
};

class Sampler {
 public:
  virtual ~Sampler() = default;
  // Draw number n >= 0 of the run.
  virtual Draw draw(int64_t n) const = 0;
};

// Draw n is position n mod N of epoch n / N, each epoch in an order of its own; batches run on
// across an epoch's end.
class ShuffledSampler : public Sampler {
 public:
  ShuffledSampler(uint64_t seed, int64_t size)
      : key_(core::random_key(seed, "order", "")), size_(size) {}
  Draw draw(int64_t n) const override {
    return {core::Bijection(key_, n / size_, size_)(n % size_), 1};
  }

 private:
  uint64_t key_;
  int64_t size_;
};

// Every sample once and in order; then padding.
class SequentialSampler : public Sampler {
 public:
  explicit SequentialSampler(int64_t size) : size_(size) {}
  Draw draw(int64_t n) const override { return n < size_ ? Draw{n, 1} : Draw{0, 0}; }
  // Steps that it takes to see all samples.
  int64_t steps(int64_t global_batch) const { return (size_ + global_batch - 1) / global_batch; }

 private:
  int64_t size_;
};

}  // namespace trireme::launcher

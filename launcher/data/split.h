// A dataset in two parts without a common sample: one to train on, one to evaluate on.
#pragma once

#include <memory>

#include "launcher/data/dataset.h"

namespace trireme::launcher {

struct DatasetSplit {
  std::shared_ptr<const Dataset> train;
  std::shared_ptr<const Dataset> validation;
};

// How many of `size` samples validation gets: round(fraction * size), at least one, not all.
int64_t validation_samples(int64_t size, double fraction);

// Views that share ownership of `whole`. Validation gets
// validation_samples(N, fraction) samples: the first of a shuffle that `seed` and N fix. Each part
// keeps its own order.
//
// Throws InvalidArgument unless 0 < fraction < 1 and a sample is left for each part.
DatasetSplit split(std::shared_ptr<const Dataset> whole, double fraction, uint64_t seed);

}  // namespace trireme::launcher

// A dataset in two parts without a common sample: one to train on, one to evaluate on.
#pragma once

#include <memory>

#include "launcher/data/dataset.h"

namespace trireme::launcher {

struct DatasetSplit {
  std::shared_ptr<const Dataset> train;
  std::shared_ptr<const Dataset> validation;
};

// Views that share ownership of `whole`. Validation gets round(fraction * N) samples, at least one:
// the first of a shuffle that `seed` and N fix. Each part keeps its own order.
//
// Throws InvalidArgument unless 0 < fraction < 1 and a sample is left for each part.
DatasetSplit split(std::shared_ptr<const Dataset> whole, double fraction, uint64_t seed);

}  // namespace trireme::launcher

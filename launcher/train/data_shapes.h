// Sizes and shapes of a job's two datasets: all that a plan needs to know of the data.
#pragma once

#include <cstdint>

#include "core/base/shape.h"
#include "launcher/data/open.h"

namespace trireme::launcher {

struct DataShapes {
  int64_t train_samples = 0;
  int64_t eval_samples = 0;  // 0: the job has no evaluation
  core::Shape sample;
  int64_t classes = 0;
  core::DType sample_type = core::DType::kF32;
  core::Shape labels;  // of one sample: () for one label, (S) for one a token

  // Of one sample; 0 where samples are not language.
  int64_t tokens() const { return labels.rank() > 0 ? labels.elements() : 0; }
};

DataShapes shapes_of(const DataSets& data);

// From the headers of the files alone. Throws InvalidArgument (kBadData) as `inspect` does.
DataShapes inspect_data(const DataOptions& data, const DatasetFactories& factories);

}  // namespace trireme::launcher

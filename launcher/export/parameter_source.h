// Saved parameters to be read a box at a time, wherever they lie.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "launcher/checkpoint/checkpoint_reader.h"
#include "launcher/eval/saved_weights.h"

namespace trireme::launcher {

struct ParameterSource {
  std::string name;  // to open errors with
  std::vector<TensorSpec> parameters;
  std::function<void(int parameter, const Box& box, float* out)> read;
};

// Of a checkpoint; the reader outlives the source.
ParameterSource parameters_in(CheckpointReader& checkpoint, bool average = false);

// Throws InvalidArgument (kBadCheckpoint) if there are none.
ParameterSource open_parameters(const WeightsPlace& place);

}  // namespace trireme::launcher

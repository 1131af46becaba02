// Saved parameters to be read a box at a time, wherever they lie.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "launcher/checkpoint/checkpoint_reader.h"

namespace trireme::launcher {

struct ParameterSource {
  std::string name;  // to open errors with
  std::vector<TensorSpec> parameters;
  std::function<void(int parameter, const Box& box, float* out)> read;
};

// Of a checkpoint; the reader outlives the source.
ParameterSource parameters_in(CheckpointReader& checkpoint);

// Of `path`: a .safetensors file of ours, a checkpoint's folder, or a run folder: its model, or
// else its newest checkpoint. Throws InvalidArgument (kBadCheckpoint) if there are none.
ParameterSource open_parameters(const std::filesystem::path& path);

}  // namespace trireme::launcher

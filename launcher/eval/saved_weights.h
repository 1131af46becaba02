// Where saved weights lie: in a safetensors file, or in a checkpoint.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "launcher/checkpoint/checkpoint_reader.h"

namespace trireme::launcher {

// What a command line names. `path`: a safetensors file, a run folder (its model, or else its
// newest checkpoint) or a checkpoint's folder.
struct WeightsPlace {
  std::filesystem::path path;
  bool average = false;  // the moving average (train.average) in place of the last parameters
};

// One of the two.
struct SavedWeights {
  std::unique_ptr<CheckpointReader> checkpoint;
  std::filesystem::path file;
};

// Throws InvalidArgument (kBadCheckpoint) if there are none, of the average too.
SavedWeights find_weights(const WeightsPlace& place);

// The tensor that stands for a parameter in a checkpoint, or -1. A parameter that was frozen, or
// never updated, is its own average.
int find_weight(const CheckpointReader& checkpoint, const std::string& name, bool average);

}  // namespace trireme::launcher

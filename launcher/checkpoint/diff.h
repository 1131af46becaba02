// `trireme checkpoint diff`: two checkpoints, tensor by tensor, whatever their shards, in a few MiB
// of memory.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "launcher/checkpoint/checkpoint_reader.h"

namespace trireme::launcher {

struct TensorDifference {
  enum class Kind { kEqual, kValues, kShape, kOnlyInA, kOnlyInB };
  std::string key;  // "parameter/conv1/weight"
  Kind kind = Kind::kEqual;
  core::Shape a, b;                 // where it is there
  int64_t elements = 0;             // compared
  int64_t different = 0;            // of them, by their bits
  double max_abs = 0;               // max |a - b| where both are numbers
  int64_t nan_against_another = 0;  // elements of which one is NaN, with other bits than the other
};

struct CheckpointDifference {
  std::vector<TensorDifference> tensors;  // in A's order, then those only in B
  std::vector<std::string> facts;         // counters, seed and the like: "seed: 1 | 2"

  bool equal() const;
};

// Compares what a run goes on from: tensors by their bits, counters, seed, data identity, global
// batch. Layout, shards, version and the job's name are not compared.
CheckpointDifference compare(CheckpointReader& a, CheckpointReader& b);

}  // namespace trireme::launcher

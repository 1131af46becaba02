// The golden files of tests/goldens: what PyTorch computed, with the script that asked it beside
// each file.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/optim/optimizer.h"
#include "tests/support/op_check.h"

namespace trireme::test {

// One case of ops.json. `op_case` has the op, its inputs and what to differentiate.
struct GoldenOp {
  OpCase op_case;
  std::vector<double> output;  // output 0
  HostTensor direction;        // of output 0; absent for a loss
  std::map<int, std::vector<double>> gradients;
};

std::vector<GoldenOp> read_golden_ops();

// One case of optim.json: the buffer before, and after each step.
struct GoldenUpdates {
  std::string name;
  core::OptimizerOptions optimizer;
  core::ControlOptions control;
  double count = 0;  // the exact one, in the control vector
  std::vector<core::UpdateRange> ranges;
  std::vector<float> initial;
  std::vector<std::vector<float>> gradients;
  std::vector<std::vector<float>> expected;
};

std::vector<GoldenUpdates> read_golden_updates();

}  // namespace trireme::test

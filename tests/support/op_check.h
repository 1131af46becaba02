// One check for every op on every device: forward against a reference in double, gradients
// against central differences of that reference.
//
//   OpCase c{.name = "add", .op = std::make_shared<Add>(), .inputs = {a, b}, .reference = ...,
//            .activations = {0, 1}};
//   check_op(*make_cpu_op_device(1), c);
//
// Whatever node runs, forward or backward, is also run
//   - between guard zones, with workspace and prepared memory of exactly the stated caps;
//   - in place where may_overwrite() allows it, which must give the same bits;
//   - with `accumulate`, where accumulates(), onto random outputs;
// and its inputs must come out unchanged.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/graph/op.h"
#include "core/runtime/step_state.h"
#include "tests/support/host_tensor.h"
#include "tests/support/op_device.h"

namespace trireme::test {

// The values of each output from the inputs, by a plain loop in double. Outputs of which only the
// op's own kernels know the meaning may be left out at the end.
using OutputValues = std::vector<std::vector<double>>;
using Reference = std::function<OutputValues(const std::vector<HostTensor>& inputs)>;

// What a kernel is told besides its operands.
struct OpSetting {
  uint64_t seed = 7;
  core::StepState step;
  int64_t sample_offset = 0;
};

struct OpCase {
  std::string name;
  core::OpPtr op;
  std::vector<HostTensor> inputs;
  Reference reference;
  // |got - want| <= tolerance (|want| + root mean square of want)
  double tolerance = 2e-6;

  // Inputs whose gradient is checked: those that come from another node, and those that are
  // parameters (their gradient then is a weight-backward node, which accumulates).
  std::vector<int> activations = {};
  std::vector<int> parameters = {};
  double gradient_tolerance = 2e-5;
  // A case whose largest gradient is below this proves nothing, and fails.
  double gradient_floor = 1e-2;

  OpSetting setting = {};
};

struct RunOptions {
  bool in_place = false;                         // output 0 lies in the memory of may_overwrite()
  std::vector<HostTensor> accumulate_onto = {};  // what the outputs hold before; empty: replace
};

// Runs one op once. Throws SystemError if a guard zone, or an input that is not output 0, was
// written.
std::vector<HostTensor> run_op(OpDevice& device, const core::Op& op,
                               const std::vector<HostTensor>& inputs, const OpSetting& setting = {},
                               const RunOptions& options = {});

// What is wrong, one line each; empty if nothing is. The gradient of output 0 is checked, along a
// random direction; of a loss (f64 (2) sums), that of its first sum.
std::vector<std::string> forward_problems(OpDevice& device, const OpCase& op_case);
std::vector<std::string> gradient_problems(OpDevice& device, const OpCase& op_case);

// d(sum(direction * output 0)) / d(input) of every input to be checked, through `differentiate`;
// of a loss, whose direction is absent, d(sums[0]) / d(input).
std::map<int, HostTensor> gradients_of(OpDevice& device, const OpCase& op_case,
                                       const HostTensor& direction);

// The same as test failures, under the case's name. check_op checks both, gradients only where
// the case names inputs to differentiate.
void check_forward(OpDevice& device, const OpCase& op_case);
void check_gradient(OpDevice& device, const OpCase& op_case);
void check_op(OpDevice& device, const OpCase& op_case);

// "" or what differs: |got - want| <= tolerance (|want| + root mean square of want), elementwise.
std::string difference(const std::vector<double>& got, const std::vector<double>& want,
                       double tolerance);

}  // namespace trireme::test

// `trireme eval`: saved parameters, judged on the job's evaluation data by any number of ranks.
#pragma once

#include "comm/world.h"
#include "core/base/error.h"
#include "launcher/cli/commands.h"
#include "launcher/eval/saved_weights.h"
#include "launcher/train/device_choice.h"

namespace trireme::launcher {

struct EvalArguments {
  JobArguments job;
  WeightsPlace weights;
  DeviceRequest device = DeviceRequest::kAuto;
  bool share_gpu = false;
};

// Prints one line: the loss and the metrics. Throws InvalidArgument (kBadCheckpoint) for parameters
// that are missing, surplus or of another shape.
ExitCode evaluate(const EvalArguments& arguments, const Extensions& extensions, comm::World& world);

}  // namespace trireme::launcher

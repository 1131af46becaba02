// `trireme train`: the run's life, from the command line to the exit code.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "comm/world.h"
#include "core/base/error.h"
#include "launcher/extensions.h"
#include "launcher/train/device_choice.h"

namespace trireme::launcher {

struct TrainArguments {
  std::filesystem::path job;
  std::vector<std::string> sets;
  std::filesystem::path run_dir;  // empty: runs/<job name>
  std::string resume = "auto";    // auto, never, or a checkpoint's folder
  DeviceRequest device = DeviceRequest::kAuto;
  bool share_gpu = false;
  std::filesystem::path save_gradients;  // of the first step, for comparisons; empty: no
};

// Trains a job on the ranks of `world`. Returns the exit code of a run that ended in order.
ExitCode train(const TrainArguments& arguments, const Extensions& extensions, comm::World& world);

}  // namespace trireme::launcher

// The control plane over the ranks of one command (train, eval): what it reads, and how failures
// that only one rank knows of reach it.
#pragma once

#include <filesystem>
#include <functional>

#include "comm/control/control_plane.h"
#include "comm/world.h"
#include "launcher/job/options.h"
#include "launcher/train/run_status.h"

namespace trireme::launcher {

class Watch {
 public:
  // Collective. `flight_folder`: where ranks write what they knew if the job hangs; empty: nowhere.
  Watch(comm::World& world, const DeadlineOptions& deadlines, std::filesystem::path flight_folder);
  ~Watch();

  RunStatus& status() { return status_; }
  comm::ControlPlane& plane() { return plane_; }

  // Runs `work` and gives back its exit code. Lets through what all ranks know of (AgreedFailure,
  // PeerFailed), and everything in a world of one; ends the process for any other failure.
  ExitCode guard(const std::function<ExitCode()>& work);

 private:
  comm::World& world_;
  RunStatus status_;
  comm::ControlPlane plane_;
};

}  // namespace trireme::launcher

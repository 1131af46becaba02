// The commands that run without a device, a launcher or data: one function each.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "comm/world.h"
#include "launcher/extensions.h"
#include "launcher/train/device_choice.h"

namespace trireme::launcher {

struct JobArguments {
  std::filesystem::path job;
  std::vector<std::string> sets;
  int world = 1;
};

// Checks the job as `world` ranks would, with the headers of its data. Prints one line.
// kAuto: the device that training would take on this machine.
// Throws InvalidArgument with every error.
void validate_job(const JobArguments& arguments, DeviceRequest device,
                  const Extensions& extensions);

// Prints layers, output shapes, parameters and floating-point operations of one sample.
void print_summary(const JobArguments& arguments, const Extensions& extensions);

struct PlanArguments {
  JobArguments job;
  std::string device = "cpu";            // a known device's name or a file
  std::filesystem::path json, timeline;  // empty: not written
};

// Prints what a run will hold and take: no MPI, no device. Throws InvalidArgument, with the fix,
// if it does not fit on the device, after it has printed.
void print_plan(const PlanArguments& arguments, const Extensions& extensions);

// Prints what this build and the ranks' machines have; with `measure`, times them and writes a
// device file there. Collective.
void examine_machine(comm::World& world, DeviceRequest request,
                     const std::filesystem::path& measure);

// "trireme 0.1.0 (commit) ..." and what it was built with, a line each.
std::string version_text();

}  // namespace trireme::launcher

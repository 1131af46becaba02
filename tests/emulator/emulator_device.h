// The emulator as a device for the tests: where emulated kernels are made and run.
#pragma once

#include <memory>
#include <vector>

#include "cuda_emulator.h"
#include "tests/support/op_device.h"

namespace trireme::test {

// The schedules that every kernel must give the same bits under.
std::vector<emulator::Schedule> all_schedules();

// Runs kernels under `schedule`. `misaligned` memory starts 8 bytes past a multiple of 256, where
// no 16-byte access may go.
std::unique_ptr<OpDevice> make_emulator_device(emulator::Schedule schedule, bool misaligned);

// A stream that says it belongs to a GPU.
inline core::Stream emulator_stream() {
  return {.handle = nullptr, .device = core::DeviceKind::kCuda};
}

}  // namespace trireme::test

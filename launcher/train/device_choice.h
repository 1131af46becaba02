// Which device a rank drives, and with how many CPU threads.
#pragma once

#include <memory>

#include "comm/world.h"
#include "core/runtime/device.h"

namespace trireme::launcher {

enum class DeviceRequest { kAuto, kCpu, kCuda };

// What kAuto comes to: a GPU where this build and the hosts of all ranks have one, else the CPU.
// Collective.
DeviceRequest choose_device(DeviceRequest request, comm::World& world);

// kAuto: a GPU where this build and this host have one, else the CPU; all ranks take the same kind.
// CPU threads: `threads`, if above 0; else OMP_NUM_THREADS, else this host's cores over its ranks
// (or the cores the rank is bound to). Collective. Throws InvalidArgument or SystemError if the
// request cannot be met.
std::unique_ptr<core::Device> make_device(DeviceRequest request, comm::World& world, bool share_gpu,
                                          int threads = 0);

// Threads for each of `ranks_on_host` ranks; `bound_cores` of `host_cores` are open to this one.
int threads_per_rank(int host_cores, int bound_cores, int ranks_on_host);

}  // namespace trireme::launcher

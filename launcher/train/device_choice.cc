#include "launcher/train/device_choice.h"

#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <span>
#include <thread>

#include "core/base/error.h"

namespace trireme::launcher {
namespace {

int bound_cores() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
}

int cpu_threads(int ranks_on_host) {
  if (const char* asked = std::getenv("OMP_NUM_THREADS"); asked && std::atoi(asked) > 0)
    return std::atoi(asked);
  return threads_per_rank(static_cast<int>(std::thread::hardware_concurrency()), bound_cores(),
                          ranks_on_host);
}

}  // namespace

int threads_per_rank(int host_cores, int bound_cores, int ranks_on_host) {
  // A rank that mpirun has bound has its share already.
  const int share = bound_cores < host_cores ? bound_cores : host_cores / ranks_on_host;
  return std::max(1, share);
}

DeviceRequest choose_device(DeviceRequest request, comm::World& world) {
  if (request != DeviceRequest::kAuto) return request;
  int32_t everywhere = core::cuda_device_count() > 0 ? 1 : 0;
  world.communicator().all_reduce(std::span(&everywhere, 1), core::ReduceOp::kMin, {},
                                  "choice of device");
  return everywhere ? DeviceRequest::kCuda : DeviceRequest::kCpu;
}

std::unique_ptr<core::Device> make_device(DeviceRequest request, comm::World& world, bool share_gpu,
                                          int threads) {
  request = choose_device(request, world);
  if (request == DeviceRequest::kCuda) return core::make_cuda_device(world.device_index(share_gpu));
  if (share_gpu) fail("--share-gpu: there is no GPU to share; leave it out to train on the CPU");
  return core::make_cpu_device(threads > 0 ? threads : cpu_threads(world.local_size()));
}

}  // namespace trireme::launcher

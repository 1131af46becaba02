#include "launcher/train/distributed_session.h"

#include <algorithm>
#include <chrono>
#include <limits>

#include "comm/gpu.h"
#include "core/sim/device_model.h"
#include "launcher/base/agreement.h"
#include "launcher/plan/fit.h"
#include "launcher/train/host_memory.h"
#include "launcher/train/precision.h"
#include "parallel/calls.h"
#include "parallel/check_calls.h"

namespace trireme::launcher {
namespace {

constexpr auto kNcclDeadline = std::chrono::seconds(120);
// Of a GPU, for what libraries load at their first use.
constexpr int64_t kReserveBytes = int64_t{512} << 20;

// What a GPU that all ranks have to themselves has left, on the one that has least; 0 on CPUs.
int64_t free_bytes(comm::Communicator& world, const core::Device& device, bool share_gpu) {
  int64_t bytes = share_gpu ? 0 : std::max<int64_t>(device.free_bytes() - kReserveBytes, 0);
  world.all_reduce(std::span(&bytes, 1), core::ReduceOp::kMin, {}, "free memory");
  return bytes;
}

// On CPUs this rank's share of what its host has left, on the host that has least; 0: not known, or
// a GPU. Arenas beyond that would be the end of some process, without a word.
int64_t host_share(comm::World& world, const core::Device& device) {
  constexpr int64_t kNotKnown = std::numeric_limits<int64_t>::max();
  int64_t bytes = kNotKnown;
  if (const auto left = available_host_memory(); left && device.kind() == core::DeviceKind::kCpu)
    bytes = std::max<int64_t>(*left / world.local_size(), 1);
  world.communicator().all_reduce(std::span(&bytes, 1), core::ReduceOp::kMin, {}, "host memory");
  return bytes == kNotKnown ? 0 : bytes;
}

// The devices of this run as plans know them.
core::DeviceModel model_of(const core::Device& device, int64_t bytes) {
  const bool cpu = device.kind() == core::DeviceKind::kCpu;
  core::DeviceModel model = core::find_device(cpu ? "cpu" : "h100");
  model.name = device.describe();
  model.memory_bytes = bytes;
  model.outside_bytes = 0;
  return model;
}

}  // namespace

DistributedSession::DistributedSession(
    comm::World& world, DeviceRequest request, bool share_gpu, const JobOptions& job,
    const DataShapes& data, const RunShape& run, const models::ModelFactories& factories,
    const std::function<void(const core::SessionPlan&)>& before_memory) {
  comm::Communicator& group = world.communicator();
  // Collective themselves: a device that cannot be had is an error of all ranks of the host.
  device_ = make_device(request, world, share_gpu, static_cast<int>(job.train.threads_of_rank()));
  if (device_->kind() == core::DeviceKind::kCuda && world.size() > 1)
    nccl_ = comm::make_nccl_communicator(group, world.device_index(share_gpu), kNcclDeadline);
  const core::DeviceModel model = model_of(*device_, free_bytes(group, *device_, share_gpu));
  core::DeviceModel refusing = model;  // where nothing is planned by what happens to be free
  if (const int64_t share = host_share(world, *device_); share > 0) {
    refusing.memory_bytes = share;
    refusing.name = "each rank's part of its host";
  }
  core::SessionPlan plan;
  agree(group, [&] {
    check_precision(job, device_->kind());
    limit_ = memory_limit(arena_limit(job, model.arena_bytes()), job, data, run, device_->kind(),
                          factories);
    plan = plan_session(job, data, run, world.rank(), device_->kind(), factories, limit_);
    check_memory(plan, run.mesh.coordinate(world.rank(), parallel::Axis::kPipeline),
                 {job, data, factories, world.size(), refusing});
  });
  agree(group, [&] { parallel::check_calls(group, run.mesh, plan); });
  if (before_memory) before_memory(plan);
  const bool tied = parallel::uses(plan, parallel::kTieGroup);
  groups_.emplace(nccl_ ? *nccl_ : group, run.mesh, tied);
  groups_->add_to(transport_);
  agree(group,
        [&] { session_ = std::make_unique<core::Session>(*device_, transport_, std::move(plan)); });
}

}  // namespace trireme::launcher

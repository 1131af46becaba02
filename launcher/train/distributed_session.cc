#include "launcher/train/distributed_session.h"

#include <chrono>

#include "comm/gpu.h"
#include "launcher/base/agreement.h"
#include "parallel/calls.h"

namespace trireme::launcher {
namespace {

constexpr auto kNcclDeadline = std::chrono::seconds(120);

}  // namespace

DistributedSession::DistributedSession(
    comm::World& world, DeviceRequest request, bool share_gpu, const JobOptions& job,
    const DataShapes& data, const RunShape& run, const models::ModelFactories& factories,
    const std::function<void(const core::SessionPlan&)>& before_memory) {
  comm::Communicator& group = world.communicator();
  // Collective themselves: a device that cannot be had is an error of all ranks of the host.
  device_ = make_device(request, world, share_gpu);
  if (device_->kind() == core::DeviceKind::kCuda && world.size() > 1)
    nccl_ = comm::make_nccl_communicator(group, world.device_index(share_gpu), kNcclDeadline);
  core::SessionPlan plan;
  agree(group,
        [&] { plan = plan_session(job, data, run, world.rank(), device_->kind(), factories); });
  const bool tied = parallel::uses(plan, parallel::kTieGroup);
  groups_.emplace(group, run.mesh, tied);
  if (nccl_) gpu_groups_.emplace(*nccl_, run.mesh, tied);
  (nccl_ ? gpu_groups_ : groups_)->add_to(transport_);
  if (before_memory) before_memory(plan);
  agree(group,
        [&] { session_ = std::make_unique<core::Session>(*device_, transport_, std::move(plan)); });
  check_calls();
}

void DistributedSession::check_calls() const {
  const std::vector<core::CollectiveCall> calls = parallel::collectives(session_->plan());
  for (int group = 0; group < parallel::kGroups; ++group)
    if (comm::Communicator* members = groups_->at(static_cast<parallel::Group>(group)))
      comm::check_collective_hash(*members, group, calls);
}

}  // namespace trireme::launcher

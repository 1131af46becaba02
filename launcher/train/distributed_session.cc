#include "launcher/train/distributed_session.h"

#include <chrono>

#include "comm/gpu.h"
#include "launcher/base/agreement.h"
#include "launcher/train/precision.h"
#include "parallel/calls.h"
#include "parallel/check_calls.h"

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
  agree(group, [&] {
    check_precision(job, device_->kind());
    plan = plan_session(job, data, run, world.rank(), device_->kind(), factories);
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

#include "launcher/train/distributed_session.h"

#include <chrono>

#include "comm/gpu.h"
#include "launcher/base/agreement.h"
#include "parallel/plan_training.h"

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
  groups_.emplace(nccl_ ? *nccl_ : group, run.mesh, std::vector<int>{});
  groups_->add_to(transport_);
  core::SessionPlan plan;
  agree(group,
        [&] { plan = plan_session(job, data, run, world.rank(), device_->kind(), factories); });
  if (before_memory) before_memory(plan);
  agree(group,
        [&] { session_ = std::make_unique<core::Session>(*device_, transport_, std::move(plan)); });
  const std::vector<core::CollectiveCall> calls = parallel::collectives(session_->plan());
  comm::check_collective_hash(group, parallel::kWorldGroup, calls);
  comm::check_collective_hash(group, parallel::kDataGroup, calls);
}

}  // namespace trireme::launcher

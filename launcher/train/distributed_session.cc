#include "launcher/train/distributed_session.h"

#include <chrono>

#include "comm/gpu.h"
#include "launcher/base/agreement.h"
#include "parallel/calls.h"

namespace trireme::launcher {
namespace {

constexpr auto kNcclDeadline = std::chrono::seconds(120);

// Every rank's calls against those of the ranks it makes them with, over CPUs: a difference is an
// error now and would be a hang later.
void check_calls(comm::Communicator& world, const parallel::Mesh& mesh,
                 const core::SessionPlan& plan) {
  const parallel::MeshGroups groups(world, mesh, parallel::uses(plan, parallel::kTieGroup));
  const std::vector<core::CollectiveCall> calls = parallel::collectives(plan);
  for (int group = 0; group < parallel::kGroups; ++group)
    if (comm::Communicator* members = groups.at(static_cast<parallel::Group>(group)))
      comm::check_collective_hash(*members, group, calls);
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
  core::SessionPlan plan;
  agree(group,
        [&] { plan = plan_session(job, data, run, world.rank(), device_->kind(), factories); });
  if (before_memory) before_memory(plan);
  const bool tied = parallel::uses(plan, parallel::kTieGroup);
  groups_.emplace(nccl_ ? *nccl_ : group, run.mesh, tied);
  groups_->add_to(transport_);
  check_calls(group, run.mesh, plan);
  agree(group,
        [&] { session_ = std::make_unique<core::Session>(*device_, transport_, std::move(plan)); });
}

}  // namespace trireme::launcher

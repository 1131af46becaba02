// A session over the ranks of a world: device, communicators, programs, in the order in which they
// must live and die.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "comm/group_transport.h"
#include "comm/world.h"
#include "core/runtime/session.h"
#include "launcher/job/options.h"
#include "launcher/train/device_choice.h"
#include "launcher/train/training_plan.h"
#include "parallel/groups.h"

namespace trireme::launcher {

class DistributedSession {
 public:
  // Collective: all ranks get their session, or all throw (launcher/base/agreement.h).
  // `before_memory`, if any, sees the plan while no arena is allocated yet; collective itself.
  DistributedSession(comm::World& world, DeviceRequest request, bool share_gpu,
                     const JobOptions& job, const DataShapes& data, const RunShape& run,
                     const models::ModelFactories& factories,
                     const std::function<void(const core::SessionPlan&)>& before_memory = {});

  core::Device& device() { return *device_; }
  core::Session& session() { return *session_; }
  // Of a rank, the same on all.
  const MemoryLimit& limit() const { return limit_; }

 private:
  std::unique_ptr<core::Device> device_;
  std::unique_ptr<comm::Communicator> nccl_;
  std::optional<parallel::MeshGroups> groups_;
  comm::GroupTransport transport_;
  MemoryLimit limit_;
  std::unique_ptr<core::Session> session_;
};

}  // namespace trireme::launcher

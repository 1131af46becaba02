// The tensors of the whole network, put together from what the ranks hold of them.
#pragma once

#include <vector>

#include "comm/communicator.h"
#include "core/runtime/session.h"
#include "launcher/checkpoint/safetensors.h"

namespace trireme::launcher {

// Every parameter, or the gradient of every trained one as the last update saw it, in the order of
// SessionPlan::whole; on rank 0 of `group`, which is all ranks of the session. Collective, over
// CPUs. The other ranks get tensors without values.
std::vector<NamedTensor> whole_tensors(comm::Communicator& group, const core::Session& session,
                                       core::StateBuffer buffer);

// Elements of the parameters of all ranks, each counted once.
int64_t parameter_count(const core::SessionPlan& plan);

}  // namespace trireme::launcher

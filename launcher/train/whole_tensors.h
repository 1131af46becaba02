// The tensors of the whole network, put together from what the ranks hold of them.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "comm/communicator.h"
#include "core/runtime/session.h"

namespace trireme::launcher {

// Every parameter, or the gradient of every trained one as the last update saw it, in the order of
// SessionPlan::whole, into a safetensors file that rank 0 of `group`, which is all ranks of the
// session, writes. Piece by piece: a MiB or two of memory, whatever the network. Collective, over
// CPUs; if rank 0 cannot write, all throw (launcher/base/agreement.h).
void write_whole_tensors(comm::Communicator& group, const core::Session& session,
                         core::StateBuffer buffer, const std::filesystem::path& path,
                         const std::map<std::string, std::string>& metadata);

// The same of the moving average of every parameter; of one that has none, because it is frozen or
// there was no update, the parameter itself.
void write_whole_average(comm::Communicator& group, const core::Session& session,
                         const std::filesystem::path& path,
                         const std::map<std::string, std::string>& metadata);

// Elements of the parameters of all ranks, each counted once.
int64_t parameter_count(const core::SessionPlan& plan);

}  // namespace trireme::launcher

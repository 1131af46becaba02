// Whether the data ranks still hold the same state: they started equal and saw equal gradients, so
// one differing bit means a fault of a machine.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "core/runtime/session.h"
#include "parallel/mesh.h"

namespace trireme::launcher {

// Of what every data rank holds whole of parameters and what updates keep, bit by bit.
struct StateHash {
  int64_t low = 0, high = 0;
  bool operator==(const StateHash&) const = default;
};
StateHash hash_state(const core::Session& session);

// One line that names those of `ranks`, whose hashes these are, that differ from most, or says that
// there is no majority; empty if all hashes are equal.
std::string differing_ranks(std::span<const StateHash> hashes, std::span<const int> ranks);

// Collective over `group`, the mesh's ranks: those of one data group are to hold the same. Throws
// AgreedFailure (kDiverged) on rank 0, PeerFailed on the others, if they do not.
void check_replicas(comm::Communicator& group, const parallel::Mesh& mesh,
                    const core::Session& session, int64_t step);

}  // namespace trireme::launcher

// Whether the data ranks still hold the same state: they started equal and saw equal gradients, so
// one differing bit means a fault of a machine.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "core/runtime/session.h"

namespace trireme::launcher {

// Of all parameters and moments, bit by bit.
struct StateHash {
  int64_t low = 0, high = 0;
  bool operator==(const StateHash&) const = default;
};
StateHash hash_state(const core::Session& session);

// One line that names the ranks that differ from most, or that there is no majority; empty if all
// hashes are equal.
std::string differing_ranks(std::span<const StateHash> hashes);

// Collective over `group`, whose ranks are to hold the same. Throws AgreedFailure (kDiverged) on
// rank 0, PeerFailed on the others, if they do not.
void check_replicas(comm::Communicator& group, const core::Session& session, int64_t step);

}  // namespace trireme::launcher

// Every rank's programs against those of all others, before step 1: a difference is an error now
// and would be a hang, or wrong sums, later.
#pragma once

#include <span>

#include "comm/communicator.h"
#include "core/runtime/session.h"
#include "parallel/calls.h"
#include "parallel/mesh.h"

namespace trireme::parallel {

// Throws InvalidArgument as core::check_programs does. `ranks`: by rank of the mesh; those of one
// class may share one.
void check_calls(const Mesh& mesh, std::span<const RankScripts* const> ranks);

// The same where each rank knows its own programs only. Collective over `world`, whose ranks are
// the mesh's, on CPUs; throws the same InvalidArgument on every rank, also where ranks hold their
// world for meshes that differ.
//
// All ranks exchange a hash (one all_gather of 16 bytes a rank); one rank of each class, those with
// equal scripts, sends its scripts to rank 0, which checks and tells all. There is a class for each
// pipeline stage and, at most, tensor coordinate; data ranks are alike. Only the ranks of one
// coordinate are simulated along axes whose ranks ask for the same in the same order.
void check_calls(comm::Communicator& world, const Mesh& mesh, const core::SessionPlan& plan);

}  // namespace trireme::parallel

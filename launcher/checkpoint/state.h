// A session's state as the tensors of a checkpoint, and back.
#pragma once

#include <string>
#include <vector>

#include "core/runtime/session.h"
#include "launcher/checkpoint/checkpoint_reader.h"
#include "launcher/checkpoint/plan.h"

namespace trireme::launcher {

// Parameters in the layout's order, then the moments of the trained ones.
std::vector<TensorSpec> state_tensors(const core::SessionPlan& plan);

// Where a piece that is one run of its tensor's row-major order lies in the flat buffers.
core::StateRange state_range(const core::FlatLayout& layout, const TensorSpec& tensor,
                             const Box& box);

// Throws InvalidArgument (kUsage), one line that names the first differing tensors and the fix, if
// the checkpoint does not hold just these.
void check_same_tensors(const CheckpointReader& checkpoint, const std::vector<TensorSpec>& tensors);

// Reads the parameters alone, for evaluation. Throws InvalidArgument (kBadCheckpoint) that names
// the parameter if one is missing or of another shape, or for what load_state() throws.
void load_parameters(CheckpointReader& checkpoint, core::Session& session);

// Reads every tensor into the session, some MiB at a time. The counters are the caller's.
// Throws InvalidArgument (kBadCheckpoint) for a block that is corrupt; the session's state is then
// rubbish.
void load_state(CheckpointReader& checkpoint, core::Session& session);

}  // namespace trireme::launcher

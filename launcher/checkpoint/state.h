// A session's state as the tensors of a checkpoint, and back, whatever the layout: of each whole
// tensor a rank holds some boxes, each of which lies in its flat buffers as one run.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "core/runtime/session.h"
#include "launcher/checkpoint/checkpoint_reader.h"
#include "launcher/checkpoint/plan.h"

namespace trireme::launcher {

// The run's tensors, whoever holds them, in the same order on every rank: parameters, then what
// updates keep of the trained ones.
std::vector<TensorSpec> state_tensors(const core::SessionPlan& plan);

struct HeldBox {
  Piece piece;             // of state_tensors()
  core::StateRange range;  // where its elements lie, row-major
};

// What this rank holds, padding left out: the slices of split parameters (core/graph/slice.h), and
// of what the data ranks share (core/runtime/flat_state.h) this rank's part. By tensor.
std::vector<HeldBox> held_boxes(const core::Session& session);

// Where a piece lies that is a run of one of the boxes, which are by tensor.
core::StateRange state_range(const std::vector<HeldBox>& held, const Piece& piece);

// What every rank of `group` holds. Collective.
Holdings gather_holdings(comm::Communicator& group, const std::vector<HeldBox>& held);

// Throws InvalidArgument (kUsage), one line that names the first differing tensors and the fix, if
// the checkpoint does not hold just these.
void check_same_tensors(const CheckpointReader& checkpoint, const std::vector<TensorSpec>& tensors);

// Fills `out` with a box of a tensor, row-major.
using ReadTensor = std::function<void(const TensorSpec& tensor, const Box& box, float* out)>;
// Fills what this rank holds of the parameters, or of what updates keep, some MiB at a time.
void fill(core::Session& session, core::StateBuffer buffer, const ReadTensor& read);

// Reads what this rank holds of every tensor into the session. The counters are the caller's.
// Throws InvalidArgument (kBadCheckpoint) for a block that is corrupt; the session's state is then
// rubbish.
void load_state(CheckpointReader& checkpoint, core::Session& session);

}  // namespace trireme::launcher

// The flat buffers of a run on one device: parameters, gradients, and what updates keep; whole, or
// this rank's slices of them.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "core/optim/optimizer.h"
#include "core/program/flat_layout.h"
#include "core/program/shard_map.h"
#include "core/runtime/device.h"

namespace trireme::core {

// The flat buffers that make up a run's state; and the gradients, which do not.
enum class StateBuffer : uint8_t { kParameters, kMoment1, kMoment2, kAverage, kGradients };

// What updates keep of each trained parameter from step to step: moments, the moving average.
std::vector<StateBuffer> kept_buffers(const OptimizerOptions& optimizer, bool averaged);

struct StateRange {
  StateBuffer buffer = StateBuffer::kParameters;
  int64_t first = 0, elements = 0;  // FlatParameter::offset and what lies there, on all ranks
};

// What is cut into slices over the data ranks, each kept by its owner alone: from 1 what
// updates keep, from 2 the gradients, from 3 the parameters. Frozen parameters are whole
// everywhere.
struct StateSharding {
  int zero = 0;
  ShardMap map;

  bool splits(StateBuffer buffer) const;
};

class FlatState {
 public:
  // `device`, `layout` and `sharding` outlive the state. With parameters, gradients and `kept`.
  FlatState(Device& device, const FlatLayout& layout, const StateSharding& sharding,
            std::span<const StateBuffer> kept);

  float* data(StateBuffer which) const;  // null for one that is not there
  int64_t bytes() const;

  // The parts of a range that this rank holds, and their shifts to the buffer's own offsets.
  std::vector<ShardMap::Piece> held(const StateRange& range) const;
  // Host copies. Reading needs the whole range to be held; writing leaves out what is not.
  void read(const StateRange& range, float* out) const;
  void write(const StateRange& range, std::span<const float> values);

 private:
  Device& device_;
  const FlatLayout& layout_;
  const StateSharding& sharding_;
  std::map<StateBuffer, Buffer> buffers_;
};

}  // namespace trireme::core

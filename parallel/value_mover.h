// Where the values of a graph lie on one rank while the graph is being cut, and the collectives
// that change it.
#pragma once

#include <optional>
#include <vector>

#include "core/graph/graph.h"

namespace trireme::parallel {

// `forward` is the graph before the cut; what is made goes into `local`. Both outlive this.
class ValueMover {
 public:
  ValueMover(const core::Graph& forward, core::Graph& local, const core::TensorPlace& place);

  // `local` is what this rank has of value `id`.
  void hold(core::ValueId id, const core::Sharding& sharding, core::ValueId local);
  const core::Sharding& sharding(core::ValueId id) const { return held_[id].sharding; }
  core::ValueId local(core::ValueId id) const { return held_[id].local; }

  // The elements that move, forward and backward, until the value lies so; nothing if it cannot be
  // moved there.
  std::optional<int64_t> cost(core::ValueId id, const core::Sharding& to) const;
  // The value as `to` has it, by collectives made once for all who ask.
  core::ValueId move(core::ValueId id, const core::Sharding& to);

 private:
  struct Held {
    core::Sharding sharding;
    core::ValueId local = core::kNoValue;
  };
  struct Copy {
    core::ValueId of;
    core::Sharding sharding;
    core::ValueId local;
  };

  bool is_input(core::ValueId id) const;
  const Copy* find_copy(core::ValueId id, const core::Sharding& sharding) const;
  core::ValueId make(core::ValueId id, const core::Sharding& to);
  core::ValueId from_parts(core::ValueId id);
  core::ValueId to_part(core::ValueId id, core::ValueId whole, const core::Sharding& to);
  core::ValueId add(core::ValueId id, const char* suffix, core::OpPtr op,
                    std::vector<core::ValueId> inputs);
  core::Shape rows_shape(core::ValueId id) const;

  const core::Graph& forward_;
  core::Graph& local_;
  core::TensorPlace place_;
  std::vector<Held> held_;  // by value
  std::vector<Copy> copies_;
};

}  // namespace trireme::parallel

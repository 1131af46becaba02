// Who writes what: the tensors of a checkpoint, cut into pieces, and the pieces into shards.
//
// A plan is a pure function of the tensors and the layout, so every rank knows what all others
// write, to the byte, without asking.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/dtype.h"
#include "core/base/shape.h"
#include "launcher/checkpoint/box.h"

namespace trireme::launcher {

enum class TensorRole : uint8_t { kParameter, kMoment1, kMoment2, kState, kAverage };

constexpr std::string_view name_of(TensorRole role) {
  constexpr std::string_view kNames[] = {"parameter", "moment1", "moment2", "state", "average"};
  return kNames[static_cast<int>(role)];
}

// A tensor as a whole, whoever holds it. (name, role) is unique in a checkpoint. A name is of
// letters, digits and ._-/+:@ alone.
struct TensorSpec {
  std::string name;
  TensorRole role = TensorRole::kParameter;
  core::DType dtype = core::DType::kF32;  // the only one of this version
  core::Shape shape;                      // at least one element

  int64_t bytes() const { return shape.elements() * core::size_of(dtype); }
  std::string key() const;  // "moment1/conv1/weight"
  bool operator==(const TensorSpec&) const = default;
};

// An entry of a shard: its elements lie there row-major, one after the other.
struct Piece {
  int tensor = 0;  // in CheckpointPlan::tensors
  Box box;

  bool operator==(const Piece&) const = default;
};

struct CheckpointPlan {
  std::vector<TensorSpec> tensors;
  std::vector<std::vector<Piece>> shards;  // each in the order of its bytes, without gaps
  int64_t step = 0;  // stands in every shard's header, so that no shard passes for another step's

  // Of the piece's tensor, with the slice behind it unless the piece is the whole tensor:
  // "parameter/fc1/weight[0:60,0:784]". Unique in a shard.
  std::string key(const Piece& piece) const;
  int64_t bytes(const Piece& piece) const;

  bool operator==(const CheckpointPlan&) const = default;
};

// What each rank holds of the tensors, by rank: boxes that lie in its memory. Two boxes of a tensor
// are equal or share nothing, whoever holds them.
using Holdings = std::vector<std::vector<Piece>>;

// A shard a rank, of what it holds, so that every element is written once. Boxes that the same
// ranks hold are spread over those: all their elements, in order, are cut into as many runs as
// there are such ranks, which differ by one element at most. Every piece is therefore a run of the
// row-major order of a box that its rank holds (see boxes_of_range). A shard may be without pieces.
// Throws InvalidArgument (kBadCheckpoint) for what check_plan refuses.
CheckpointPlan split_held(std::vector<TensorSpec> tensors, const Holdings& held);

// The same where each of `shards` ranks holds everything.
CheckpointPlan split_replicated(std::vector<TensorSpec> tensors, int shards);

// Names, shapes and number within the limits, every (name, role) once. Throws as check_plan does.
void check_tensors(const std::vector<TensorSpec>& tensors, const std::string& where);

// The same, and every piece within its tensor; every element of every tensor in exactly one piece.
// Throws InvalidArgument (kBadCheckpoint) whose message opens with `where`. Needs memory in
// proportion to the plan.
void check_plan(const CheckpointPlan& plan, const std::string& where);

}  // namespace trireme::launcher

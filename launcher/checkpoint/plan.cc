#include "launcher/checkpoint/plan.h"

#include <algorithm>

#include "launcher/checkpoint/limits.h"
#include "launcher/checkpoint/refuse.h"

namespace trireme::launcher {

std::string TensorSpec::key() const { return fmt::format("{}/{}", name_of(role), name); }

std::string CheckpointPlan::key(const Piece& piece) const {
  const TensorSpec& tensor = tensors[piece.tensor];
  return piece.box == whole_box(tensor.shape) ? tensor.key() : tensor.key() + piece.box.str();
}

int64_t CheckpointPlan::bytes(const Piece& piece) const {
  return piece.box.elements() * core::size_of(tensors[piece.tensor].dtype);
}

CheckpointPlan split_replicated(std::vector<TensorSpec> tensors, int shards) {
  CheckpointPlan plan{.tensors = std::move(tensors), .shards = {}};
  check_tensors(plan.tensors, "checkpoint");
  if (shards < 1 || shards > kMaxShards)
    refuse("checkpoint", "expects 1 to {} shards, got {}", kMaxShards, shards);
  int64_t total = 0;
  for (const TensorSpec& tensor : plan.tensors) total += tensor.shape.elements();
  // In 128 bits: total x shard may pass 2^63.
  const auto cut = [&](int64_t shard) {
    return static_cast<int64_t>(static_cast<__int128>(total) * shard / shards);
  };
  plan.shards.resize(shards);
  int64_t tensor_begin = 0;
  int shard = 0;
  for (int tensor = 0; tensor < std::ssize(plan.tensors); ++tensor) {
    const core::Shape& shape = plan.tensors[tensor].shape;
    const int64_t tensor_end = tensor_begin + shape.elements();
    while (cut(shard + 1) <= tensor_begin) ++shard;
    for (int s = shard; s < shards && cut(s) < tensor_end; ++s)
      for (const Box& box : boxes_of_range(shape, std::max(cut(s), tensor_begin) - tensor_begin,
                                           std::min(cut(s + 1), tensor_end) - tensor_begin))
        plan.shards[s].push_back({tensor, box});
    tensor_begin = tensor_end;
  }
  check_plan(plan, "checkpoint");
  return plan;
}

}  // namespace trireme::launcher

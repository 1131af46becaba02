#include "launcher/checkpoint/plan.h"

#include <algorithm>
#include <array>
#include <map>
#include <numeric>
#include <utility>

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

namespace {

// Cuts the boxes' elements, in their order, into a run for each of `ranks`.
void spread(const std::vector<Piece>& boxes, const std::vector<int>& ranks, CheckpointPlan& plan) {
  int64_t total = 0;
  for (const Piece& piece : boxes) total += piece.box.elements();
  const auto runs = std::ssize(ranks);
  // In 128 bits: total x run may pass 2^63.
  const auto cut = [&](int64_t run) {
    return static_cast<int64_t>(static_cast<__int128>(total) * run / runs);
  };
  int64_t begin = 0;  // of the box
  int64_t run = 0;
  for (const Piece& piece : boxes) {
    const int64_t end = begin + piece.box.elements();
    while (cut(run + 1) <= begin) ++run;
    for (int64_t r = run; r < runs && cut(r) < end; ++r)
      for (const Box& box : boxes_of_range(piece.box, std::max(cut(r), begin) - begin,
                                           std::min(cut(r + 1), end) - begin))
        plan.shards[ranks[r]].push_back({piece.tensor, box});
    begin = end;
  }
}

void check_shard_count(int64_t shards) {
  if (shards < 1 || shards > kMaxShards)
    refuse("checkpoint", "expects 1 to {} shards, got {}", kMaxShards, shards);
}

// By tensor, then by origin.
using BoxKey = std::pair<int, std::array<int64_t, kMaxTensorRank>>;

}  // namespace

CheckpointPlan split_held(std::vector<TensorSpec> tensors, const Holdings& held) {
  CheckpointPlan plan{.tensors = std::move(tensors), .shards = {}};
  check_tensors(plan.tensors, "checkpoint");
  check_shard_count(std::ssize(held));
  plan.shards.resize(held.size());
  std::map<BoxKey, std::pair<Box, std::vector<int>>> holders;
  for (int rank = 0; rank < std::ssize(held); ++rank)
    for (const Piece& piece : held[rank]) {
      auto& [box, ranks] =
          holders.try_emplace({piece.tensor, piece.box.origin}, piece.box, std::vector<int>())
              .first->second;
      ensure(box == piece.box, "boxes that ranks hold are equal or share nothing");
      ranks.push_back(rank);
    }
  std::map<std::vector<int>, std::vector<Piece>> shared;
  for (const auto& [key, holder] : holders)
    shared[holder.second].push_back({key.first, holder.first});
  for (const auto& [ranks, boxes] : shared) spread(boxes, ranks, plan);
  check_plan(plan, "checkpoint");
  return plan;
}

CheckpointPlan split_replicated(std::vector<TensorSpec> tensors, int shards) {
  check_tensors(tensors, "checkpoint");
  check_shard_count(shards);
  CheckpointPlan plan{.tensors = std::move(tensors), .shards = {}};
  plan.shards.resize(shards);
  std::vector<Piece> boxes;
  for (int i = 0; i < std::ssize(plan.tensors); ++i)
    boxes.push_back({i, whole_box(plan.tensors[i].shape)});
  std::vector<int> ranks(shards);
  std::iota(ranks.begin(), ranks.end(), 0);
  spread(boxes, ranks, plan);
  check_plan(plan, "checkpoint");
  return plan;
}

}  // namespace trireme::launcher

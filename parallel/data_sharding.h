// What the data ranks share of gradients, moments and parameters, and the collectives for it.
//
//   zero 0  every rank holds all; gradients are all-reduced, once a step
//   zero 1  moments are cut into slices; gradients are reduce-scattered once a step, each rank
//           updates its slices, parameters are all-gathered behind the update
//   zero 2  gradients too: reduced with every micro-batch into the owner's slice, in f32; of the
//           full buckets those alone are alive that backward is filling or the network is reducing
//   zero 3  parameters too: a bucket is gathered before a segment first uses it, one bucket ahead,
//           and its memory is free again behind the last use
//
// With train.determinism LAYOUT the sums are those of parallel/leaf_reduction.h instead.
//
// Source: Rajbhandari et al., ZeRO: Memory Optimizations Toward Training Trillion Parameter Models
// (2020).
#pragma once

#include <vector>

#include "core/program/build.h"
#include "core/runtime/session.h"
#include "parallel/batch_split.h"
#include "parallel/groups.h"
#include "parallel/ties.h"

namespace trireme::parallel {

class DataSharding {
 public:
  // `layout` and `ties` outlive this; the layout has tied parameters in buckets of their own. With
  // zero 2 and 3 gradients get new places in it.
  DataSharding(int zero, int ranks, int rank, const BatchSplit& batch, core::FlatLayout& layout,
               const Ties& ties);

  // Adds to a train program's options what sums gradients, those of tied parameters first, and
  // gives parameters back. `graph` is differentiated; `options.segments` stand.
  void add_to_training(const core::Graph& graph, core::BuildOptions& options);
  // Adds to any program's options, after the above, what brings the parameters (zero 3).
  void add_parameters(const core::Graph& graph, core::BuildOptions& options) const;

  const core::FlatLayout& layout() const { return layout_; }
  core::StateSharding state() const { return {zero_, map_}; }
  // From ranges of whole buffers to what this rank updates, and adds to the norm.
  std::vector<core::UpdateRange> update_ranges(const std::vector<core::UpdateRange>& all) const;
  std::vector<core::ElementRange> norm_ranges(const std::vector<core::ElementRange>& all) const;
  // Where the gradients of a range of whole buckets lie on this rank, once they are summed over the
  // data ranks: padding is left in.
  std::vector<core::ElementRange> gradient_ranges(core::ElementRange range) const;
  // Whether the norm is a sum over the data ranks.
  bool splits_norm() const { return zero_ > 0; }

 private:
  void sum_ties_once(const core::Graph& graph, core::BuildOptions& options) const;
  void sum_tied_slices(core::BuildOptions& options) const;
  void reduce_once(const core::Graph& graph, core::BuildOptions& options) const;
  void reduce_every_micro_batch(const core::Graph& graph, core::BuildOptions& options);
  void gather_after_update(core::BuildOptions& options) const;
  int64_t gather_in_segment(const core::Graph& graph, core::SegmentPlan& segment,
                            core::BuildOptions& options) const;
  std::vector<core::ShardMap::Piece> pieces(core::ElementRange range) const;
  core::PlannedCollective collective(core::CollectiveKind kind, size_t bucket) const;

  bool is_tied(size_t bucket) const;

  int zero_;
  int ranks_;
  int rank_;
  BatchSplit batch_;
  core::FlatLayout& layout_;
  const Ties& ties_;
  core::ShardMap map_;
};

}  // namespace trireme::parallel

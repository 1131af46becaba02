// From the gradients of leaves to those of the step, in one order whatever the layout
// (train.determinism LAYOUT; parallel/batch_split.h says what a leaf is).
//
// Every element is added up in one binary tree over the numbers of the step's leaves. Leaves that
// one rank has one after another are carried like the bits of a counter (core::PlannedCarry).
// Across the P data ranks a bucket goes through an all_to_all, which sends each rank's sum of a
// slice to the slice's owner, as many bytes as a ring's reduce_scatter; the owner adds the P sums,
// neighbours first.
//
//   zero 0, 1  a rank's leaves are a subtree: it carries whole buckets, and meets the others once a
//              step; an all_gather follows with zero 0
//   zero 2, 3  leaves are dealt out: the ranks' i-th leaves are a subtree, and meet at the end of
//              each; the owner carries its slice
//
// A parameter's uses are kept apart (core::ExtraGradient) until each is summed over all leaves;
// then they are added in the order of backward, the same for a tied parameter whose uses are on two
// stages as for one rank.
#pragma once

#include <vector>

#include "core/program/build.h"
#include "core/program/shard_map.h"
#include "parallel/batch_split.h"
#include "parallel/bucket_lives.h"
#include "parallel/ties.h"

namespace trireme::parallel {

class LeafReduction {
 public:
  struct Place {
    int zero = 0;  // 0 with one data rank
    int ranks = 1, rank = 0;
    BatchSplit batch;
  };
  // All outlive this. With zero 2 and 3 gradients get new places in `layout`.
  LeafReduction(const Place& place, core::FlatLayout& layout, const Ties& ties,
                const core::ShardMap& map);

  // Adds to a train program's options what sums gradients. `options.segments` stand.
  void add_to(const core::Graph& graph, core::BuildOptions& options);

 private:
  // A bucket's gradients: its parameters' first ones, or an extra gradient's.
  struct Region {
    size_t bucket = 0;
    int64_t elements = 0;
    core::Location value;                // all of it
    core::Location received;             // this rank's slice from each rank
    std::vector<core::Location> levels;  // of the carry
    core::Location total;
  };

  bool every_leaf() const { return place_.zero >= 2; }
  bool is_shared(size_t bucket) const;
  int64_t slice_elements(const Region& region) const { return region.elements / place_.ranks; }
  core::Location slice_of(const Region& region, int rank) const;
  void list_regions();
  void place_whole_buckets(core::BuildOptions& options);
  void place_slices(core::BuildOptions& options, const std::vector<std::vector<BucketLife>>& lives);
  void place_levels(core::BuildOptions& options, int buffers, bool slices);
  void set_gradient_offset(size_t region, int64_t offset);
  void add_segment(const core::SegmentPlan& segment, const std::vector<BucketLife>& lives,
                   core::BuildOptions& options) const;
  size_t start(const Region& region, core::NodeId node, core::BuildOptions& options) const;
  void finish(const Region& region, core::NodeId node, size_t exchange,
              core::BuildOptions& options) const;
  void add_ranks(const Region& region, core::NodeId node, core::BuildOptions& options) const;
  void carry(const Region& region, core::Location value, int64_t elements, core::NodeId node,
             core::BuildOptions& options) const;
  void gather(const Region& region, core::NodeId node, core::BuildOptions& options) const;
  void add_uses(size_t bucket, core::NodeId node, core::BuildOptions& options) const;
  core::Insertion at(core::NodeId node) const;

  Place place_;
  core::FlatLayout& layout_;
  const Ties& ties_;
  const core::ShardMap& map_;
  std::vector<Region> regions_;  // buckets, then extra gradients
};

// Throws InvalidArgument if a tied parameter's uses lie so that the stages' sums could not be added
// in the order of one rank. `whole` is differentiated, with separate uses.
void check_tie_order(const core::Graph& whole, const Ties& ties, int stages);

}  // namespace trireme::parallel

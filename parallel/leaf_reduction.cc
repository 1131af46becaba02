#include "parallel/leaf_reduction.h"

#include <algorithm>
#include <bit>

#include "core/base/error.h"
#include "core/program/arena_planner.h"
#include "parallel/groups.h"

namespace trireme::parallel {
namespace {

using core::Arena;
using core::CollectiveKind;
using core::Insertion;
using core::Location;
using core::NodeId;

constexpr int64_t kBytes = core::size_of(core::DType::kF32);

Location behind(Location location, int64_t elements) {
  location.offset += elements * kBytes;
  return location;
}

}  // namespace

LeafReduction::LeafReduction(const Place& place, core::FlatLayout& layout, const Ties& ties,
                             const core::ShardMap& map)
    : place_(place), layout_(layout), ties_(ties), map_(map) {}

void LeafReduction::add_to(const core::Graph& graph, core::BuildOptions& options) {
  options.leaf_micro_batches = place_.batch.leaf_micro_batches();
  options.leaf_skip = place_.batch.leaf_skip();
  list_regions();
  std::vector<std::vector<BucketLife>> lives;
  for (const core::SegmentPlan& segment : options.segments)
    lives.push_back(made_apart_in(graph, layout_, segment));
  if (every_leaf())
    place_slices(options, lives);
  else
    place_whole_buckets(options);
  NodeId last = core::kNoNode;  // of the segment that is the last to make gradients
  for (size_t s = 0; s < lives.size(); ++s) {
    if (lives[s].empty()) continue;
    add_segment(options.segments[s], lives[s], options);
    last = options.segments[s].nodes.back();
  }
  for (size_t b = 0; b < layout_.buckets.size(); ++b)
    if (is_shared(b)) add_uses(b, last, options);
}

void LeafReduction::list_regions() {
  const auto add = [&](size_t bucket) {
    regions_.push_back({.bucket = bucket,
                        .elements = layout_.buckets[bucket].end - layout_.buckets[bucket].begin});
  };
  for (size_t b = 0; b < layout_.buckets.size(); ++b) add(b);
  for (const core::ExtraGradient& extra : layout_.extra_gradients) add(extra.bucket);
}

bool LeafReduction::is_shared(size_t bucket) const {
  return ties_.is_tied(layout_.parameters[layout_.buckets[bucket].first_parameter].name) ||
         std::ranges::find(layout_.extra_gradients, bucket, &core::ExtraGradient::bucket) !=
             layout_.extra_gradients.end();
}

Location LeafReduction::slice_of(const Region& region, int rank) const {
  return behind(region.value, rank * slice_elements(region));
}

// Once the last leaf has been carried the levels are free to receive.
void LeafReduction::place_whole_buckets(core::BuildOptions& options) {
  for (size_t r = 0; r < regions_.size(); ++r) {
    const size_t buckets = layout_.buckets.size();
    const core::Bucket& bucket = layout_.buckets[regions_[r].bucket];
    const int64_t offset = r < buckets ? layout_.parameters[bucket.first_parameter].gradient_offset
                                       : layout_.extra_gradients[r - buckets].gradient_offset;
    regions_[r].value = regions_[r].total = {Arena::kGradients, offset * kBytes};
  }
  place_levels(options, place_.ranks > 1 ? 1 : 0, false);
  if (place_.ranks > 1)
    for (Region& region : regions_) region.received = region.levels.front();
  for (Region& region : regions_)
    region.levels.resize(std::countr_zero(static_cast<unsigned>(place_.batch.leaves)));
}

// At least `buffers` levels.
void LeafReduction::place_levels(core::BuildOptions& options, int buffers, bool slices) {
  const int levels =
      std::max(buffers, std::countr_zero(static_cast<unsigned>(place_.batch.leaves)));
  for (Region& region : regions_)
    for (int level = 0; level < levels; ++level) {
      region.levels.push_back({Arena::kLeaves, options.leaf_bytes});
      options.leaf_bytes += (slices ? slice_elements(region) : region.elements) * kBytes;
    }
}

// Owned sums first. A leaf of one micro-batch needs a bucket from its first gradient until the
// ranks have met, a larger one all the time.
void LeafReduction::place_slices(core::BuildOptions& options,
                                 const std::vector<std::vector<BucketLife>>& lives) {
  place_levels(options, 0, true);
  int64_t fixed = 0;
  for (Region& region : regions_) {
    region.total = {Arena::kGradients, fixed * kBytes};
    fixed += slice_elements(region);
  }
  const bool stays = place_.batch.leaf_micro_batches() > 1;
  if (stays)
    for (size_t r = 0; r < regions_.size(); ++r) {
      set_gradient_offset(r, fixed);
      fixed += regions_[r].elements;
    }
  layout_.gradient_elements = fixed;
  for (size_t s = 0; s < lives.size(); ++s) {
    const int last_node = static_cast<int>(options.segments[s].nodes.size()) - 1;
    std::vector<core::LiveRange> ranges;
    for (size_t i = 0; i < lives[s].size(); ++i) {
      const BucketLife& life = lives[s][i];
      const int64_t bytes = regions_[life.bucket].elements * kBytes;
      const int met = i + 1 < lives[s].size() ? lives[s][i + 1].end : last_node;
      ranges.push_back({bytes, life.end, met});
      if (!stays) ranges.push_back({bytes, life.begin, met});
    }
    const core::ArenaPlan arena = core::plan_arena(ranges, core::kElementAlignment * kBytes);
    layout_.gradient_elements = std::max(layout_.gradient_elements, fixed + arena.bytes / kBytes);
    auto offset = arena.offsets.begin();
    for (const BucketLife& life : lives[s]) {
      regions_[life.bucket].received = {Arena::kGradients, fixed * kBytes + *offset++};
      if (!stays) set_gradient_offset(life.bucket, fixed + *offset++ / kBytes);
    }
  }
}

void LeafReduction::set_gradient_offset(size_t r, int64_t offset) {
  regions_[r].value = {Arena::kGradients, offset * kBytes};
  if (r >= layout_.buckets.size()) {
    layout_.extra_gradients[r - layout_.buckets.size()].gradient_offset = offset;
    return;
  }
  const core::Bucket& bucket = layout_.buckets[r];
  for (int p = bucket.first_parameter; p < bucket.end_parameter; ++p)
    layout_.parameters[p].gradient_offset = offset + layout_.parameters[p].offset - bucket.begin;
}

// Ranks exchange a bucket while the next one is filled.
void LeafReduction::add_segment(const core::SegmentPlan& segment,
                                const std::vector<BucketLife>& lives,
                                core::BuildOptions& options) const {
  size_t exchange = 0;
  for (size_t i = 0; i < lives.size(); ++i) {
    const NodeId node = segment.nodes[lives[i].end];
    const size_t started = start(regions_[lives[i].bucket], node, options);
    if (i > 0) finish(regions_[lives[i - 1].bucket], node, exchange, options);
    exchange = started;
  }
  finish(regions_[lives.back().bucket], segment.nodes.back(), exchange, options);
}

Insertion LeafReduction::at(NodeId node) const {
  return {
      .node = node, .last_of_leaf = every_leaf(), .last_micro_batch = !every_leaf(), .what = {}};
}

// The number of the insertion that starts the exchange, if there is one.
size_t LeafReduction::start(const Region& region, NodeId node, core::BuildOptions& options) const {
  if (!every_leaf()) carry(region, region.value, region.elements, node, options);
  if (place_.ranks == 1) return 0;
  Insertion insertion = at(node);
  insertion.what = core::PlannedCollective{.kind = CollectiveKind::kAllToAll,
                                           .dtype = core::DType::kF32,
                                           .group = kDataGroup,
                                           .location = region.received,
                                           .send = region.value,
                                           .count = slice_elements(region),
                                           .what = name_of(layout_, region.bucket)};
  options.insertions.push_back(std::move(insertion));
  return options.insertions.size() - 1;
}

void LeafReduction::finish(const Region& region, NodeId node, size_t exchange,
                           core::BuildOptions& options) const {
  if (place_.ranks == 1) return;
  Insertion wait = at(node);
  wait.what = Insertion::Wait{exchange};
  options.insertions.push_back(std::move(wait));
  add_ranks(region, node, options);
  if (every_leaf())
    carry(region, slice_of(region, place_.rank), slice_elements(region), node, options);
  else if (place_.zero == 0 && !is_shared(region.bucket))
    gather(region, node, options);
}

// The ranks' sums of this rank's slice, into it: 0 + 1, 2 + 3, ...; then sums of two; and so on.
void LeafReduction::add_ranks(const Region& region, NodeId node,
                              core::BuildOptions& options) const {
  const int64_t elements = slice_elements(region);
  for (int stride = 1; stride < place_.ranks; stride *= 2)
    for (int r = 0; r < place_.ranks; r += 2 * stride) {
      const Location a = behind(region.received, r * elements);
      const bool last = 2 * stride == place_.ranks;
      Insertion insertion = at(node);
      insertion.what = core::PlannedAddition{.a = a,
                                             .b = behind(a, stride * elements),
                                             .to = last ? slice_of(region, place_.rank) : a,
                                             .elements = elements};
      options.insertions.push_back(std::move(insertion));
    }
}

void LeafReduction::carry(const Region& region, Location value, int64_t elements, NodeId node,
                          core::BuildOptions& options) const {
  if (region.levels.empty() && !every_leaf()) return;  // one leaf, which lies where it should
  options.insertions.push_back(
      {.node = node,
       .last_of_leaf = true,
       .what = core::PlannedCarry{
           .value = value, .levels = region.levels, .total = region.total, .elements = elements}});
}

void LeafReduction::gather(const Region& region, NodeId node, core::BuildOptions& options) const {
  Insertion insertion = at(node);
  insertion.what = core::PlannedCollective{.kind = CollectiveKind::kAllGather,
                                           .dtype = core::DType::kF32,
                                           .group = kDataGroup,
                                           .location = region.value,
                                           .send = slice_of(region, place_.rank),
                                           .count = slice_elements(region),
                                           .what = name_of(layout_, region.bucket)};
  options.insertions.push_back(std::move(insertion));
}

// Of what this rank has the sums of, behind all leaves: here, then with the other stage's.
void LeafReduction::add_uses(size_t bucket, NodeId node, core::BuildOptions& options) const {
  const Region& first = regions_[bucket];
  const auto sum = [&](const Region& region) {
    return every_leaf() ? region.total : slice_of(region, place_.rank);
  };
  const auto push = [&](auto what) {
    options.insertions.push_back({.node = node, .last_micro_batch = true, .what = std::move(what)});
  };
  for (size_t r = layout_.buckets.size(); r < regions_.size(); ++r)
    if (regions_[r].bucket == bucket)
      push(core::PlannedAddition{sum(first), sum(regions_[r]), sum(first), slice_elements(first)});
  const std::string& name = layout_.parameters[layout_.buckets[bucket].first_parameter].name;
  if (ties_.is_tied(name)) push(tie_reduction(name, sum(first), slice_elements(first)));
  if (place_.zero == 0 && place_.ranks > 1) gather(first, node, options);
}

// Sums are made from the first use that backward comes to, which lies in the last stage: one rank
// adds use by use to that, two stages add what each has.
void check_tie_order(const core::Graph& whole, const Ties& ties, int stages) {
  for (const std::string& name : ties.parameters) {
    const core::ValueId parameter = whole.find(name);
    int elsewhere = 0;  // uses before the last stage's
    for (const core::Value& value : whole.values())
      if (value.role == core::Role::kGradient && value.parameter == parameter)
        elsewhere += whole.node(value.producer).chunk % stages != ties.stages.back() ? 1 : 0;
    if (elsewhere > 1 || ties.stages.size() > 2)
      fail(
          "train.determinism: LAYOUT cannot keep the order of sums of '{}', which {} stages and {} "
          "earlier layers share; use fewer stages, or leave it RUN",
          name, ties.stages.size(), elsewhere);
  }
}

}  // namespace trireme::parallel

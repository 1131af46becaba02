#include "parallel/data_sharding.h"

#include <algorithm>
#include <map>
#include <set>

#include "core/base/error.h"
#include "core/program/arena_planner.h"
#include "parallel/bucket_lives.h"
#include "parallel/leaf_reduction.h"

namespace trireme::parallel {
namespace {

using core::Arena;
using core::CollectiveKind;
using core::Insertion;
using core::NodeId;

constexpr int64_t kBytes = core::size_of(core::DType::kF32);

int64_t round_up(int64_t elements) {
  return (elements + core::kElementAlignment - 1) / core::kElementAlignment *
         core::kElementAlignment;
}

// Throws InvalidArgument if two segments make gradients of one bucket: each would leave a part.
void check_whole_buckets(const std::vector<core::SegmentPlan>& segments, const core::Graph& graph,
                         const core::FlatLayout& layout) {
  std::set<size_t> made;
  for (const core::SegmentPlan& segment : segments)
    for (const BucketLife& life : made_in(graph, layout, segment))
      if (!made.insert(life.bucket).second)
        fail(
            "parallel.zero: two chunks of a stage share '{}'; with parallel.virtual_stages above 1 "
            "set parallel.zero to 1 or 0",
            layout.parameters[layout.buckets[life.bucket].first_parameter].name);
}

}  // namespace

DataSharding::DataSharding(int zero, int ranks, int rank, const BatchSplit& batch,
                           core::FlatLayout& layout, const Ties& ties)
    : zero_(ranks > 1 ? zero : 0),
      ranks_(ranks),
      rank_(rank),
      batch_(batch),
      layout_(layout),
      ties_(ties),
      map_(zero_ > 0 ? core::ShardMap(layout, ranks, rank) : core::ShardMap()) {}

void DataSharding::add_to_training(const core::Graph& graph, core::BuildOptions& options) {
  if (batch_.leaves > 0) {
    LeafReduction({zero_, ranks_, rank_, batch_}, layout_, ties_, map_).add_to(graph, options);
  } else if (zero_ <= 1) {
    sum_ties_once(graph, options);
    if (ranks_ > 1) reduce_once(graph, options);
  } else {
    reduce_every_micro_batch(graph, options);
    sum_tied_slices(options);
  }
  if (zero_ == 1 || zero_ == 2) gather_after_update(options);
}

// Of the whole bucket, or of this rank's slice in place.
core::PlannedCollective DataSharding::collective(CollectiveKind kind, size_t bucket) const {
  const core::Bucket& range = layout_.buckets[bucket];
  const int64_t offset = layout_.parameters[range.first_parameter].gradient_offset * kBytes;
  core::PlannedCollective planned{.kind = kind,
                                  .dtype = core::DType::kF32,
                                  .group = kDataGroup,
                                  .location = {Arena::kGradients, offset},
                                  .count = range.end - range.begin,
                                  .what = name_of(layout_, bucket)};
  if (kind == CollectiveKind::kReduceScatter) {
    planned.count /= ranks_;
    planned.send = planned.location;
    planned.location.offset += rank_ * planned.count * kBytes;
  }
  return planned;
}

bool DataSharding::is_tied(size_t bucket) const {
  return ties_.is_tied(layout_.parameters[layout_.buckets[bucket].first_parameter].name);
}

void DataSharding::sum_ties_once(const core::Graph& graph, core::BuildOptions& options) const {
  for (const std::string& name : ties_.parameters)
    if (const core::FlatParameter* parameter = layout_.look_up(name);
        parameter && parameter->trained)
      options.insertions.push_back(
          {.node = last_gradient_node(graph),
           .last_micro_batch = true,
           .what = tie_reduction(name, {Arena::kGradients, parameter->gradient_offset * kBytes},
                                 parameter->elements)});
}

// The stages' owners of a slice have added it up over all micro-batches. The bucket's number
// differs from stage to stage, so it is no part of the name.
void DataSharding::sum_tied_slices(core::BuildOptions& options) const {
  for (size_t b = 0; b < layout_.buckets.size(); ++b)
    if (is_tied(b))
      options.after_backward.push_back(tie_reduction(
          layout_.parameters[layout_.buckets[b].first_parameter].name,
          {Arena::kGradients, map_.compact_begin(b) * kBytes}, map_.slices()[b].elements()));
}

// A bucket once its gradients are complete, in the last of the segments that write to it; a tied
// one when the stages' parts have been summed.
void DataSharding::reduce_once(const core::Graph& graph, core::BuildOptions& options) const {
  const auto kind = zero_ == 0 ? CollectiveKind::kAllReduce : CollectiveKind::kReduceScatter;
  std::map<size_t, size_t> last_segment;  // by bucket
  for (size_t s = 0; s < options.segments.size(); ++s)
    for (const BucketLife& life : made_in(graph, layout_, options.segments[s]))
      last_segment[life.bucket] = s;
  for (size_t s = 0; s < options.segments.size(); ++s) {
    const core::SegmentPlan& segment = options.segments[s];
    for (const BucketLife& life : made_in(graph, layout_, segment))
      if (last_segment[life.bucket] == s)
        options.insertions.push_back(
            {.node = is_tied(life.bucket) ? last_gradient_node(graph) : segment.nodes[life.end],
             .last_micro_batch = true,
             .what = collective(kind, life.bucket)});
  }
}

// A bucket is reduced while the next one is filled, and added to its owner's slice behind that: so
// it is alive from its first gradient until the next bucket is full.
void DataSharding::reduce_every_micro_batch(const core::Graph& graph, core::BuildOptions& options) {
  check_whole_buckets(options.segments, graph, layout_);
  options.leaf_micro_batches = 1;
  const int64_t owned = round_up(map_.elements());
  layout_.gradient_elements = owned;
  for (const core::SegmentPlan& segment : options.segments) {
    const std::vector<BucketLife> lives = made_in(graph, layout_, segment);
    const int last_node = static_cast<int>(segment.nodes.size()) - 1;
    std::vector<core::LiveRange> ranges;
    for (size_t i = 0; i < lives.size(); ++i) {
      const core::Bucket& bucket = layout_.buckets[lives[i].bucket];
      ranges.push_back({(bucket.end - bucket.begin) * kBytes, lives[i].begin,
                        i + 1 < lives.size() ? lives[i + 1].end : last_node});
    }
    const core::ArenaPlan arena = core::plan_arena(ranges, core::kElementAlignment * kBytes);
    layout_.gradient_elements = std::max(layout_.gradient_elements, owned + arena.bytes / kBytes);
    size_t reduction = 0;
    const auto add_up = [&](size_t i, int at) {
      const core::PlannedCollective reduced =
          collective(CollectiveKind::kReduceScatter, lives[i].bucket);
      const core::Location to{Arena::kGradients, map_.compact_begin(lives[i].bucket) * kBytes};
      const NodeId node = segment.nodes[at];
      options.insertions.push_back({.node = node, .what = Insertion::Wait{reduction}});
      options.insertions.push_back(
          {.node = node, .what = core::PlannedAccumulation{reduced.location, to, reduced.count}});
    };
    for (size_t i = 0; i < lives.size(); ++i) {
      const core::Bucket& bucket = layout_.buckets[lives[i].bucket];
      for (int p = bucket.first_parameter; p < bucket.end_parameter; ++p)
        layout_.parameters[p].gradient_offset =
            owned + arena.offsets[i] / kBytes + layout_.parameters[p].offset - bucket.begin;
      if (i > 0) add_up(i - 1, lives[i].end);
      reduction = options.insertions.size();
      options.insertions.push_back(
          {.node = segment.nodes[lives[i].end],
           .what = collective(CollectiveKind::kReduceScatter, lives[i].bucket)});
    }
    if (!lives.empty()) add_up(lives.size() - 1, last_node);
  }
}

void DataSharding::gather_after_update(core::BuildOptions& options) const {
  for (size_t b = 0; b < layout_.buckets.size(); ++b) {
    const core::ElementRange& slice = map_.slices()[b];
    options.after_update.push_back(
        {.kind = CollectiveKind::kAllGather,
         .dtype = core::DType::kF32,
         .group = kDataGroup,
         .location = {Arena::kParameters, layout_.buckets[b].begin * kBytes},
         .send = {Arena::kParameters, slice.begin * kBytes},
         .count = slice.elements(),
         .what = "parameters of " + name_of(layout_, b)});
  }
}

void DataSharding::add_parameters(const core::Graph& graph, core::BuildOptions& options) const {
  if (zero_ < 3) return;
  options.transient_parameters = true;
  for (core::SegmentPlan& segment : options.segments)
    options.gathered_bytes =
        std::max(options.gathered_bytes, gather_in_segment(graph, segment, options));
  const int64_t shift = map_.elements() - layout_.trained_elements;
  for (const core::FlatParameter& parameter : layout_.parameters)
    if (!parameter.trained)
      options.segments.front().locations.push_back(
          {graph.find(parameter.name), {Arena::kParameters, (parameter.offset + shift) * kBytes}});
}

// One bucket ahead: when a bucket is first used, the gathering of the next one has been started.
int64_t DataSharding::gather_in_segment(const core::Graph& graph, core::SegmentPlan& segment,
                                        core::BuildOptions& options) const {
  const std::vector<BucketLife> lives = used_in(graph, layout_, segment);
  std::vector<core::LiveRange> ranges;
  for (size_t i = 0; i < lives.size(); ++i) {
    const core::Bucket& bucket = layout_.buckets[lives[i].bucket];
    ranges.push_back(
        {(bucket.end - bucket.begin) * kBytes, i == 0 ? 0 : lives[i - 1].begin, lives[i].end});
  }
  const core::ArenaPlan arena = core::plan_arena(ranges);
  std::vector<size_t> gathers;
  const auto gather = [&](size_t i, int at) {
    const size_t b = lives[i].bucket;
    gathers.push_back(options.insertions.size());
    options.insertions.push_back({.node = segment.nodes[at],
                                  .before = true,
                                  .what = core::PlannedCollective{
                                      .kind = CollectiveKind::kAllGather,
                                      .dtype = core::DType::kF32,
                                      .group = kDataGroup,
                                      .location = {Arena::kGathered, arena.offsets[i]},
                                      .send = {Arena::kParameters, map_.compact_begin(b) * kBytes},
                                      .count = map_.slices()[b].elements(),
                                      .what = "parameters of " + name_of(layout_, b)}});
  };
  for (size_t i = 0; i < lives.size(); ++i) {
    if (i == 0) gather(0, 0);
    if (i + 1 < lives.size()) gather(i + 1, lives[i].begin);
    options.insertions.push_back({.node = segment.nodes[lives[i].begin],
                                  .before = true,
                                  .what = Insertion::Wait{gathers[i]}});
    const core::Bucket& bucket = layout_.buckets[lives[i].bucket];
    for (int p = bucket.first_parameter; p < bucket.end_parameter; ++p) {
      const core::FlatParameter& parameter = layout_.parameters[p];
      segment.locations.push_back(
          {graph.find(parameter.name),
           {Arena::kGathered, arena.offsets[i] + (parameter.offset - bucket.begin) * kBytes}});
    }
  }
  return arena.bytes;
}

// From zero 2 on buckets share memory, so that padding between parameters holds what another bucket
// left there: it is no gradient.
std::vector<core::ShardMap::Piece> DataSharding::pieces(core::ElementRange range) const {
  if (zero_ < 2) return map_.pieces(range);
  std::vector<core::ShardMap::Piece> found;
  for (const core::FlatParameter& parameter : layout_.parameters) {
    const core::ElementRange part{std::max(range.begin, parameter.offset),
                                  std::min(range.end, parameter.offset + parameter.elements)};
    if (part.begin < part.end) std::ranges::copy(map_.pieces(part), std::back_inserter(found));
  }
  return found;
}

std::vector<core::UpdateRange> DataSharding::update_ranges(
    const std::vector<core::UpdateRange>& all) const {
  if (zero_ == 0) return all;
  std::vector<core::UpdateRange> mine;
  for (const core::UpdateRange& range : all)
    for (const core::ShardMap::Piece& piece : pieces({range.begin, range.end})) {
      core::UpdateRange part = range;
      part.begin = piece.range.begin;
      part.end = piece.range.end;
      if (zero_ == 3) {
        part.begin += piece.shift;
        part.end += piece.shift;
      } else {
        part.moment_shift = piece.shift;
        part.gradient_shift = zero_ == 2 ? piece.shift : 0;
      }
      mine.push_back(part);
    }
  return mine;
}

std::vector<core::ElementRange> DataSharding::gradient_ranges(core::ElementRange range) const {
  if (zero_ == 0) return {range};
  std::vector<core::ElementRange> mine;
  for (const core::ShardMap::Piece& piece : map_.pieces(range)) {
    const int64_t shift = zero_ >= 2 ? piece.shift : 0;
    mine.push_back({piece.range.begin + shift, piece.range.end + shift});
  }
  return mine;
}

std::vector<core::ElementRange> DataSharding::norm_ranges(
    const std::vector<core::ElementRange>& all) const {
  if (zero_ == 0) return all;
  std::vector<core::ElementRange> mine;
  for (const core::ElementRange& range : all)
    for (const core::ShardMap::Piece& piece : pieces(range)) {
      const int64_t shift = zero_ >= 2 ? piece.shift : 0;
      mine.push_back({piece.range.begin + shift, piece.range.end + shift});
    }
  return mine;
}

}  // namespace trireme::parallel

#include "parallel/data_parallel.h"

#include <algorithm>

#include "core/base/error.h"
#include "parallel/groups.h"

namespace trireme::parallel {
namespace {

using core::Graph;

// The node after which every gradient of a bucket is complete.
core::NodeId ready_after(const Graph& graph, const core::FlatLayout& layout,
                         const core::Bucket& bucket) {
  core::NodeId last = core::kNoNode;
  for (int i = bucket.first_parameter; i < bucket.end_parameter; ++i) {
    const core::ValueId gradient = graph.find(layout.parameters[i].name + "/grad");
    for (core::NodeId id = 0; id < static_cast<core::NodeId>(graph.nodes().size()); ++id)
      if (std::ranges::find(graph.node(id).outputs, gradient) != graph.node(id).outputs.end())
        last = std::max(last, id);
  }
  return last;
}

std::string name_of(const core::FlatLayout& layout, size_t number) {
  const core::Bucket& bucket = layout.buckets[number];
  return fmt::format("bucket {} ({}{})", number, layout.parameters[bucket.first_parameter].name,
                     bucket.end_parameter - bucket.first_parameter > 1 ? " ..." : "");
}

}  // namespace

std::vector<core::CollectiveAfter> bucket_reductions(const Graph& graph,
                                                     const core::FlatLayout& layout) {
  std::vector<core::CollectiveAfter> reductions;
  for (size_t i = 0; i < layout.buckets.size(); ++i) {
    const core::Bucket& bucket = layout.buckets[i];
    reductions.push_back({.after = ready_after(graph, layout, bucket),
                          .collective = {.kind = core::CollectiveKind::kAllReduce,
                                         .op = core::ReduceOp::kSum,
                                         .dtype = core::DType::kF32,
                                         .group = kDataGroup,
                                         .location = {core::Arena::kGradients, bucket.begin * 4},
                                         .count = bucket.end - bucket.begin,
                                         .what = name_of(layout, i)}});
  }
  return reductions;
}

}  // namespace trireme::parallel

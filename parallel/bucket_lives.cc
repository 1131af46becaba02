#include "parallel/bucket_lives.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace trireme::parallel {
namespace {

using core::NodeId;

// The lives of what a segment's nodes touch, where `touched` names it for each node.
template <typename Touched>
std::vector<BucketLife> lives_of(const core::SegmentPlan& segment, const Touched& touched) {
  std::map<size_t, BucketLife> lives;
  for (int at = 0; at < static_cast<int>(segment.nodes.size()); ++at)
    touched(segment.nodes[at], [&](size_t bucket) {
      BucketLife& life = lives[bucket];
      if (life.begin < 0) life = {bucket, at, at};
      life.end = at;
    });
  std::vector<BucketLife> all;
  for (const auto& [bucket, life] : lives) all.push_back(life);
  return all;
}

// `bucket_of` gives the bucket of a gradient.
template <typename BucketOf>
std::vector<BucketLife> lives_of_gradients(const core::Graph& graph,
                                           const core::SegmentPlan& segment,
                                           const BucketOf& bucket_of) {
  std::vector<BucketLife> lives = lives_of(segment, [&](NodeId id, const auto& touch) {
    for (core::ValueId output : graph.node(id).outputs)
      if (graph.value(output).role == core::Role::kGradient) touch(bucket_of(graph.value(output)));
  });
  std::ranges::stable_sort(lives, {}, &BucketLife::end);
  return lives;
}

}  // namespace

std::unordered_map<std::string, size_t> bucket_of_parameters(const core::FlatLayout& layout) {
  std::unordered_map<std::string, size_t> buckets;
  for (size_t b = 0; b < layout.buckets.size(); ++b)
    for (int i = layout.buckets[b].first_parameter; i < layout.buckets[b].end_parameter; ++i)
      buckets[layout.parameters[i].name] = b;
  return buckets;
}

std::vector<BucketLife> made_in(const core::Graph& graph, const core::FlatLayout& layout,
                                const core::SegmentPlan& segment) {
  const auto buckets = bucket_of_parameters(layout);
  return lives_of_gradients(graph, segment, [&](const core::Value& gradient) {
    return buckets.at(graph.value(gradient.parameter).name);
  });
}

std::vector<BucketLife> made_apart_in(const core::Graph& graph, const core::FlatLayout& layout,
                                      const core::SegmentPlan& segment) {
  const auto buckets = bucket_of_parameters(layout);
  const auto& extras = layout.extra_gradients;
  return lives_of_gradients(graph, segment, [&](const core::Value& gradient) {
    const auto extra = std::ranges::find(extras, gradient.name, &core::ExtraGradient::name);
    return extra == extras.end() ? buckets.at(graph.value(gradient.parameter).name)
                                 : layout.buckets.size() + (extra - extras.begin());
  });
}

std::vector<BucketLife> used_in(const core::Graph& graph, const core::FlatLayout& layout,
                                const core::SegmentPlan& segment) {
  const auto buckets = bucket_of_parameters(layout);
  std::vector<BucketLife> lives = lives_of(segment, [&](NodeId id, const auto& touch) {
    for (core::ValueId input : graph.node(id).inputs) {
      if (input == core::kNoValue || graph.value(input).role != core::Role::kParameter) continue;
      if (const auto found = buckets.find(graph.value(input).name); found != buckets.end())
        touch(found->second);
    }
  });
  std::ranges::stable_sort(lives, {}, &BucketLife::begin);
  return lives;
}

std::string name_of(const core::FlatLayout& layout, size_t number) {
  const core::Bucket& bucket = layout.buckets[number];
  return fmt::format("bucket {} ({}{})", number, layout.parameters[bucket.first_parameter].name,
                     bucket.end_parameter - bucket.first_parameter > 1 ? " ..." : "");
}

}  // namespace trireme::parallel

// When the nodes of a segment touch the buckets of the flat buffers.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "core/program/segment_plan.h"

namespace trireme::parallel {

// By positions among the segment's nodes.
struct BucketLife {
  size_t bucket = 0;
  int begin = -1, end = -1;  // first and last node that touches it
};

// Bucket by parameter name; parameters without one are frozen.
std::unordered_map<std::string, size_t> bucket_of_parameters(const core::FlatLayout& layout);

// The buckets whose gradients the segment makes, in the order in which they are complete.
std::vector<BucketLife> made_in(const core::Graph& graph, const core::FlatLayout& layout,
                                const core::SegmentPlan& segment);
// The same, with extra gradient i of the layout in the place of bucket layout.buckets.size() + i.
std::vector<BucketLife> made_apart_in(const core::Graph& graph, const core::FlatLayout& layout,
                                      const core::SegmentPlan& segment);
// The buckets whose parameters the segment reads, in the order in which it first does.
std::vector<BucketLife> used_in(const core::Graph& graph, const core::FlatLayout& layout,
                                const core::SegmentPlan& segment);

// "bucket 3 (conv1/weight ...)".
std::string name_of(const core::FlatLayout& layout, size_t bucket);

}  // namespace trireme::parallel

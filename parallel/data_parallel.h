// Data parallelism: every data rank runs the same program on its share of the batch; gradients are
// summed over the ranks in buckets, on their own stream, while backward still runs.
#pragma once

#include <vector>

#include "core/program/build.h"

namespace trireme::parallel {

// One all_reduce a bucket, once the last of its gradients is complete.
std::vector<core::CollectiveAfter> bucket_reductions(const core::Graph& graph,
                                                     const core::FlatLayout& layout);

}  // namespace trireme::parallel

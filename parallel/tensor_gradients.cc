#include "parallel/tensor_gradients.h"

#include <fmt/format.h>

#include "core/base/dtype.h"
#include "parallel/groups.h"

namespace trireme::parallel {

std::vector<core::PlannedCollective> partial_gradient_sums(const DataSharding& sharding) {
  const core::FlatLayout& layout = sharding.layout();
  constexpr int64_t kBytes = core::size_of(core::DType::kF32);
  std::vector<core::PlannedCollective> sums;
  for (size_t b = 0; b < layout.buckets.size(); ++b) {
    const core::Bucket& bucket = layout.buckets[b];
    if (!layout.parameters[bucket.first_parameter].partial_gradient) continue;
    for (const core::ElementRange& mine : sharding.gradient_ranges({bucket.begin, bucket.end}))
      sums.push_back({.kind = core::CollectiveKind::kAllReduce,
                      .op = core::ReduceOp::kSum,
                      .dtype = core::DType::kF32,
                      .group = kTensorGroup,
                      .location = {core::Arena::kGradients, mine.begin * kBytes},
                      .count = mine.elements(),
                      // Without a number: the ranks need not have as many buckets before it.
                      .what = fmt::format("parts of the gradients of {} ...",
                                          layout.parameters[bucket.first_parameter].name)});
  }
  return sums;
}

}  // namespace trireme::parallel

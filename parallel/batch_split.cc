#include "parallel/batch_split.h"

#include <string>

#include "core/base/error.h"

namespace trireme::parallel {
namespace {

// The largest divisor of n below d and the smallest above it: "4, 8".
std::string nearest_divisors(int64_t n, int64_t d) {
  int64_t below = d, above = d;
  while (below > 1 && n % below != 0) --below;
  while (above < n && n % above != 0) ++above;
  if (n % above != 0) above = n;
  return below == above ? fmt::format("{}", below) : fmt::format("{}, {}", below, above);
}

}  // namespace

BatchSplit split_batch(int64_t global_batch, int64_t micro_batch, int data_ranks) {
  if (global_batch % data_ranks != 0) {
    const int64_t below = global_batch / data_ranks * data_ranks;
    const int64_t above = below + data_ranks;
    fail(
        "train.global_batch ({}) does not divide over {} data ranks; nearest: {}, or start another "
        "number of ranks",
        global_batch, data_ranks,
        below == 0 ? fmt::format("{}", above) : fmt::format("{}, {}", below, above));
  }
  BatchSplit split{.global_batch = global_batch, .per_rank = global_batch / data_ranks};
  split.micro_batch = micro_batch == 0 ? split.per_rank : micro_batch;
  if (split.per_rank % split.micro_batch != 0)
    fail(
        "train.micro_batch ({}) must divide a rank's share of the batch ({} = global batch {} / {} "
        "data ranks); nearest: {}",
        micro_batch, split.per_rank, global_batch, data_ranks,
        nearest_divisors(split.per_rank, micro_batch));
  split.micro_batches = static_cast<int>(split.per_rank / split.micro_batch);
  return split;
}

}  // namespace trireme::parallel

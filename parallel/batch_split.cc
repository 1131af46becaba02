#include "parallel/batch_split.h"

#include <algorithm>
#include <bit>
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

// The powers of two around a value, the larger one at most `most`.
std::string nearest_powers(int64_t value, int64_t most) {
  const auto below = std::bit_floor(static_cast<uint64_t>(std::clamp<int64_t>(value, 1, most)));
  const uint64_t above = 2 * below;
  return above <= static_cast<uint64_t>(most) && value > 1 ? fmt::format("{}, {}", below, above)
                                                           : fmt::format("{}", below);
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
  BatchSplit split{.global_batch = global_batch,
                   .per_rank = global_batch / data_ranks,
                   .data_ranks = data_ranks};
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

BatchSplit split_leaves(int64_t global_batch, int64_t micro_batch, int data_ranks, int leaves,
                        int zero) {
  // The largest power of two that divides the batch.
  const int64_t most = global_batch & -global_batch;
  if (!std::has_single_bit(static_cast<unsigned>(leaves)) || global_batch % leaves != 0)
    fail(
        "train.virtual_shards ({}) must be a power of two that divides train.global_batch ({}); "
        "nearest: {}",
        leaves, global_batch, nearest_powers(leaves, most));
  if (leaves % data_ranks != 0)
    fail(
        "train.determinism LAYOUT: {} data ranks must divide train.virtual_shards ({}), a power of "
        "two; nearest: {} data ranks",
        data_ranks, leaves, nearest_powers(data_ranks, leaves));
  const int64_t rows = global_batch / leaves;
  const int64_t micro = micro_batch == 0 ? rows : micro_batch;
  if (rows % micro != 0)
    fail(
        "train.micro_batch ({}) must divide a virtual shard ({} = global batch {} / {} virtual "
        "shards); nearest: {}",
        micro, rows, global_batch, leaves, nearest_divisors(rows, micro));
  return {.global_batch = global_batch,
          .per_rank = global_batch / data_ranks,
          .micro_batch = micro,
          .micro_batches = static_cast<int>(global_batch / data_ranks / micro),
          .leaves = leaves / data_ranks,
          .data_ranks = data_ranks,
          .dealt = zero >= 2 && data_ranks > 1};
}

}  // namespace trireme::parallel

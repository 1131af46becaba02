#include "launcher/data/sampler.h"

#include "core/base/error.h"

namespace trireme::launcher {

void BatchShare::check() const {
  if (global_batch < 1 || micro_batch < 1 || ranks < 1 || rank < 0 || rank >= ranks)
    fail(
        "[data] expects positive batches and a rank in [0, {}), got global_batch {}, micro_batch "
        "{}, "
        "rank {}",
        ranks, global_batch, micro_batch, rank);
  if (global_batch % ranks != 0)
    fail("[data] global_batch ({}) expects to be divided by {} ranks", global_batch, ranks);
  if (local_batch() % micro_batch != 0)
    fail("[data] micro_batch ({}) expects to divide the {} rows of a rank", micro_batch,
         local_batch());
  if (dealt_rows > 0 && (local_batch() % dealt_rows != 0 || dealt_rows % micro_batch != 0))
    fail("[data] dealt_rows ({}) expects to divide the {} rows of a rank and be divided by {}",
         dealt_rows, local_batch(), micro_batch);
}

}  // namespace trireme::launcher

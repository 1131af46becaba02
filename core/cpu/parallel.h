// Loops over the CPU's threads.
#pragma once

#include <algorithm>
#include <cstdint>

namespace trireme::core {

// Calls body(begin, end) over [0, count) cut into at most `threads` equal pieces of at least
// `grain` items, so that which item falls to which piece depends on (count, grain, threads) alone.
template <typename Body>
void parallel_for(int threads, int64_t count, int64_t grain, const Body& body) {
  const int64_t pieces = std::clamp<int64_t>(count / std::max<int64_t>(grain, 1), 1, threads);
  if (pieces == 1) {
    if (count > 0) body(int64_t{0}, count);
    return;
  }
#if defined(_OPENMP)
#pragma omp parallel for num_threads(static_cast <int>(pieces)) schedule(static, 1)
#endif
  for (int64_t piece = 0; piece < pieces; ++piece)
    body(count * piece / pieces, count * (piece + 1) / pieces);
}

}  // namespace trireme::core

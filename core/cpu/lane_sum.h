// Sums over a row in f32, vectorised without reordering: for functions with TRIREME_SIMD.
#pragma once

#include <cstdint>

namespace trireme::core {

// The sum of value(i) over [0, count) in 32 lanes (four chains of AVX2 vectors, which hide the
// latency of an addition), then lane by lane: an order that depends on `count` alone.
template <typename Value>
[[gnu::always_inline]] inline float lane_sum(int64_t count, const Value& value) {
  constexpr int kLanes = 32;
  float lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    for (int k = 0; k < kLanes; ++k) lanes[k] += value(i + k);
  for (int k = 0; i + k < count; ++k) lanes[k] += value(i + k);
  for (int half = kLanes / 2; half > 0; half /= 2)
    for (int k = 0; k < half; ++k) lanes[k] += lanes[k + half];
  return lanes[0];
}

}  // namespace trireme::core

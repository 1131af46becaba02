#include "core/cpu/elementwise_loops.h"

#include "core/cpu/simd.h"

namespace trireme::core {
namespace {

// Partial sums side by side, so that the compiler need not reorder a sum to vectorise it.
constexpr int kLanes = 16;

// The sum of value(i) over [0, count), added lane by lane and then lane 0, 1, ...
template <typename Value>
[[gnu::always_inline]] inline double sum_in_lanes(int64_t count, const Value& value) {
  double lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    for (int k = 0; k < kLanes; ++k) lanes[k] += value(i + k);
  for (int k = 0; i + k < count; ++k) lanes[k] += value(i + k);
  double sum = 0;
  for (double lane : lanes) sum += lane;
  return sum;
}

}  // namespace

TRIREME_SIMD void add_arrays(const float* a, const float* b, float* y, int64_t count) {
#pragma GCC ivdep
  for (int64_t i = 0; i < count; ++i) y[i] = a[i] + b[i];
}

TRIREME_SIMD void scale_array(float factor, const float* x, float* y, int64_t count) {
#pragma GCC ivdep
  for (int64_t i = 0; i < count; ++i) y[i] = factor * x[i];
}

TRIREME_SIMD void scaled_difference(float factor, const float* a, const float* b, float* y,
                                    int64_t count) {
#pragma GCC ivdep
  for (int64_t i = 0; i < count; ++i) y[i] = factor * (a[i] - b[i]);
}

TRIREME_SIMD double squared_distance(const float* a, const float* b, int64_t count) {
  return sum_in_lanes(
      count, [=](int64_t i) __attribute__((always_inline)) {
        const double d = static_cast<double>(a[i]) - static_cast<double>(b[i]);
        return d * d;
      });
}

TRIREME_SIMD double sum_of_squares(const float* a, int64_t count) {
  return sum_in_lanes(
      count, [=](int64_t i) __attribute__((always_inline)) {
        const double d = a[i];
        return d * d;
      });
}

}  // namespace trireme::core

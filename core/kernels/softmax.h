// The rules of one row of softmax cross-entropy and accuracy, for host and device.
#pragma once

#include <cstdint>

#include "core/base/host_device.h"
#include "core/kernels/math.h"

namespace trireme::core {

// Sum of exp(x - max) together with the max: two halves of a row combine in any tree.
struct SumExp {
  float max;
  float sum;
};

TRIREME_HOST_DEVICE SumExp merge(SumExp a, SumExp b) {
  const float max = a.max > b.max ? a.max : b.max;
  // A half that is empty, or all -infinity, has nothing to add, and its difference would be NaN.
  const float from_a = a.sum == 0.0f ? 0.0f : a.sum * fast_exp(a.max - max);
  const float from_b = b.sum == 0.0f ? 0.0f : b.sum * fast_exp(b.max - max);
  return {max, from_a + from_b};
}

enum class RowKind : uint8_t { kCounts, kIgnored, kInvalid };

// A row of weight 0 (padding) is ignored whatever it holds; any other row whose label is neither
// ignore_index nor a class is invalid: its loss is NaN, so that the step is refused.
TRIREME_HOST_DEVICE RowKind classify_row(int32_t label, float weight, int64_t classes,
                                         int32_t ignore_index) {
  if (label == ignore_index || weight == 0.0f) return RowKind::kIgnored;
  return label < 0 || label >= classes ? RowKind::kInvalid : RowKind::kCounts;
}

// The weight of row r's sample; rows_per_sample = rows / B.
TRIREME_HOST_DEVICE float row_weight(const float* weight, int64_t row, int64_t rows_per_sample) {
  return weight == nullptr ? 1.0f : weight[row / rows_per_sample];
}

// sum_c q_c (lse - x_c) = lse - (1 - s) x_label - s mean(x).
TRIREME_HOST_DEVICE double cross_entropy_row(double lse, double x_label, double sum_of_x,
                                             int64_t classes, float smoothing) {
  const double s = smoothing;
  const double smooth = s == 0 ? 0.0 : s * sum_of_x / static_cast<double>(classes);
  return lse - (1.0 - s) * x_label - smooth;
}

// scale (softmax_c - q_c) for one logit; scale = seed w_r.
TRIREME_HOST_DEVICE float cross_entropy_gradient(float x, float lse, bool is_label,
                                                 float uniform_part, float label_part,
                                                 float scale) {
  const float q = is_label ? label_part + uniform_part : uniform_part;
  return scale * (fast_exp(x - lse) - q);
}

}  // namespace trireme::core

// One row of a softmax whose classes lie on several ranks, for host and device.
#pragma once

#include <cmath>
#include <cstdint>

#include "core/base/host_device.h"

namespace trireme::core {

// What one rank knows of a row: the three floats of core/ops/split_cross_entropy.h.
struct SoftmaxPart {
  float lse;
  float x_label;
  float sum_of_x;
};

// A row over all classes.
struct SoftmaxRow {
  double lse;
  double x_label;
  double sum_of_x;
};

//   parts (ranks, rows, 3);  max + log(sum exp(. - max)) in double, in the order of the ranks
TRIREME_HOST_DEVICE SoftmaxRow join_softmax_parts(const SoftmaxPart* parts, int ranks, int64_t rows,
                                                  int64_t row) {
  float max = parts[row].lse;
  for (int rank = 1; rank < ranks; ++rank) {
    const float lse = parts[rank * rows + row].lse;
    max = lse > max ? lse : max;
  }
  SoftmaxRow all{0, 0, 0};
  double sum = 0;
  for (int rank = 0; rank < ranks; ++rank) {
    const SoftmaxPart part = parts[rank * rows + row];
    sum += exp(static_cast<double>(part.lse) - static_cast<double>(max));
    all.x_label += part.x_label;
    all.sum_of_x += part.sum_of_x;
  }
  all.lse = static_cast<double>(max) + log(sum);
  return all;
}

// The largest logit of a rank's classes and its number among all; NaN and -1 if a logit is NaN.
struct ArgmaxPart {
  float max;
  float index;
};

// Whether `label` is the first of the largest over all ranks, whose classes are in their order.
TRIREME_HOST_DEVICE bool label_is_argmax(const ArgmaxPart* parts, int ranks, int64_t rows,
                                         int64_t row, int32_t label) {
  ArgmaxPart best = parts[row];
  bool numbers = best.max == best.max;
  for (int rank = 1; rank < ranks; ++rank) {
    const ArgmaxPart part = parts[rank * rows + row];
    numbers = numbers && part.max == part.max;
    if (part.max > best.max) best = part;
  }
  return numbers && best.index == static_cast<float>(label);
}

}  // namespace trireme::core

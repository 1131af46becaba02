// The rows that the kernels of norm.h go through, and their statistics.
#pragma once

#include <cstdint>

#include "core/base/host_device.h"
#include "core/graph/op.h"
#include "core/ops/norm.h"

namespace trireme::core {

// What normalises a row: n = (s - mean) scale. RMS norm's mean is 0.
struct RowStatistics {
  float mean;
  float scale;
};

struct NormRows {
  int64_t rows = 0;
  int64_t width = 0;
  bool centered = false;  // layer norm
  float epsilon = 0;

  NormRows(const NormOptions& options, const ValueType& x)
      : rows(x.elements() / x.shape[-1]),
        width(x.shape[-1]),
        centered(options.kind == NormOptions::kLayer),
        epsilon(options.epsilon) {}

  TRIREME_HOST_DEVICE void write(float* statistics, int64_t row, RowStatistics of_row) const {
    if (centered) statistics[2 * row] = of_row.mean;
    statistics[centered ? 2 * row + 1 : row] = of_row.scale;
  }
  TRIREME_HOST_DEVICE RowStatistics read(const float* statistics, int64_t row) const {
    return centered ? RowStatistics{statistics[2 * row], statistics[2 * row + 1]}
                    : RowStatistics{0.0f, statistics[row]};
  }
};

// CUDA's weight gradient: how many pieces the rows are cut into, each summed by its own blocks.
constexpr int64_t norm_row_parts(int64_t rows) {
  return rows < 256 ? 1 : (rows > 128 * 128 ? 128 : rows / 128);
}

}  // namespace trireme::core

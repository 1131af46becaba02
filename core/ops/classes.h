// What softmax cross-entropy and accuracy share: logits in rows, a label a row, weights a sample.
#pragma once

#include <span>
#include <string_view>

#include "core/graph/op.h"

namespace trireme::core {

// x f32(rows..., C) with C >= 1, labels i32(rows...), weight absent or f32(B), B dividing the
// rows: inputs 0, 1 and 2. Throws InvalidArgument otherwise.
void expect_logits_and_labels(std::string_view op, std::span<const ValueType> inputs);

struct ClassRows {
  int64_t rows;
  int64_t classes;
  int64_t rows_per_sample;
};

ClassRows class_rows(const NodeTypes& types);

}  // namespace trireme::core

// Which rows of its tables an embedding reads, for the CPU's kernels and CUDA's.
#pragma once

#include <cstdint>

#include "core/base/host_device.h"
#include "core/graph/op.h"
#include "core/ops/embedding.h"

namespace trireme::core {

// The part of the vocabulary that a table holds: the tokens [first, first + rows).
struct VocabularySlice {
  int64_t first = 0;
  int64_t rows = 0;
  int64_t vocabulary = 0;

  VocabularySlice(const EmbeddingOptions& options, int64_t rows)
      : first(options.first_token),
        rows(rows),
        vocabulary(options.vocabulary == 0 ? options.first_token + rows : options.vocabulary) {}

  TRIREME_HOST_DEVICE bool knows(int32_t token) const { return token >= 0 && token < vocabulary; }
  TRIREME_HOST_DEVICE bool holds(int32_t token) const {
    return token >= first && token < first + rows;
  }
};

// Null: nothing to add (a token of another slice, no position table).
struct EmbeddingRow {
  const float* token;
  const float* position;
  bool invalid;  // a token outside of the vocabulary, or a position outside of its table
};

struct EmbeddingInputs {
  const int32_t* tokens;        // (samples, length)
  const float* table;           // (slice.rows, width)
  const float* position_table;  // (positions_end, width), or null
  const int32_t* positions;     // (samples), or null
  VocabularySlice slice;
  int64_t length, positions_end, width;

  // Of row `row` of y, (samples length) rows in all.
  TRIREME_HOST_DEVICE EmbeddingRow row(int64_t row) const {
    const int32_t token = tokens[row];
    EmbeddingRow found{nullptr, nullptr, !slice.knows(token)};
    if (slice.holds(token)) found.token = table + (token - slice.first) * width;
    if (position_table == nullptr) return found;
    const int64_t start = positions == nullptr ? 0 : positions[row / length];
    const int64_t position = start + row % length;
    if (position < 0 || position >= positions_end)
      found.invalid = true;
    else
      found.position = position_table + position * width;
    return found;
  }
};

// Makes an EmbeddingInputs of each run's pointers.
class EmbeddingBinder {
 public:
  EmbeddingBinder(const NodeTypes& types, const EmbeddingOptions& options)
      : slice_(options, types.inputs[1].shape[0]),
        length_(types.inputs[0].shape[1]),
        positions_end_(
            types.inputs.size() > 2 && types.inputs[2].present() ? types.inputs[2].shape[0] : 0),
        width_(types.inputs[1].shape[1]),
        has_positions_(types.inputs.size() > 3) {}

  int64_t width() const { return width_; }
  EmbeddingInputs operator()(const KernelArgs& args) const {
    return {.tokens = args.in<int32_t>(0),
            .table = args.in<float>(1),
            .position_table = positions_end_ > 0 ? args.in<float>(2) : nullptr,
            .positions = has_positions_ ? args.in<int32_t>(3) : nullptr,
            .slice = slice_,
            .length = length_,
            .positions_end = positions_end_,
            .width = width_};
  }

 private:
  VocabularySlice slice_;
  int64_t length_, positions_end_, width_;
  bool has_positions_;
};

}  // namespace trireme::core

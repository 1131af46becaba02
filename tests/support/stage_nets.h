// Networks to be cut into stages, and their batches.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "core/graph/graph.h"
#include "core/runtime/executor.h"

namespace trireme::test {

enum class StageNet {
  kDense,   // eight linear layers of unequal widths, dropout between two of them
  kSkips,   // a value that blocks far behind use again, and a residual stream in blocks
  kImages,  // convolutions, pooling, a view in the middle, linear layers
  kTied,    // the first and the last but one layer share their weight and bias
  kViews,   // every layer reads a view of the data
};

constexpr int64_t kNetInputs = 36, kNetClasses = 5;

// The forward graph of `batch` rows, of (36) or (6, 6, 1) values each, five classes.
core::Graph stage_net(StageNet net, int64_t batch, bool training = true);

// The whole batch of a step, drawn at random, of which a data rank reads its rows by micro-batches.
class NetBatches : public core::InputSource {
 public:
  NetBatches(int64_t global_batch, unsigned seed, int64_t first_row, int64_t micro_batch);
  std::span<const void* const> next() override;

 private:
  std::vector<float> data_;
  std::vector<int32_t> labels_;
  std::vector<float> weights_;
  int64_t row_, micro_batch_;
  std::array<const void*, 3> pointers_{};
};

}  // namespace trireme::test

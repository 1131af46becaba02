#include "core/ops/accuracy.h"

#include "core/cuda/partial_sums.h"
#include "core/ops/classes.h"
#include "core/ops/expect.h"

namespace trireme::core {

std::vector<ValueType> Accuracy::infer(std::span<const ValueType> inputs) const {
  expect_count(type(), inputs, 2, 3);
  expect_logits_and_labels(type(), inputs);
  return {sums_type()};
}

Cost Accuracy::cost(const NodeTypes& types) const {
  return {.flops = types.inputs[0].elements(), .bytes = types.inputs[0].bytes()};
}

// CPU: one term a row, then added in order. CUDA: one pair a block.
int64_t Accuracy::workspace_cap(const NodeTypes& types, DeviceKind device) const {
  if (device == DeviceKind::kCuda) return kPartialSumBytes;
  return types.inputs[1].elements() * static_cast<int64_t>(sizeof(double));
}

}  // namespace trireme::core

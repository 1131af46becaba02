#include "core/ops/accuracy.h"

#include "core/cuda/partial_sums.h"
#include "core/graph/local_builder.h"
#include "core/ops/classes.h"
#include "core/ops/expect.h"
#include "core/ops/split_cross_entropy.h"

namespace trireme::core {

std::vector<ValueType> Accuracy::infer(std::span<const ValueType> inputs) const {
  expect_count(type(), inputs, 2, 3);
  expect_logits_and_labels(type(), inputs);
  return {sums_type()};
}

std::vector<ShardingRule> Accuracy::shardings(const ShardingRequest& request) const {
  return class_shardings(request);
}

std::vector<ValueId> Accuracy::emit_local(LocalBuilder& builder) const {
  if (!builder.rule().inputs[0].is_split()) return Op::emit_local(builder);
  const ClassSlice slice = class_slice(builder);
  const ValueId own =
      builder.add("parts", std::make_shared<ArgmaxParts>(slice), {builder.input(0)})[0];
  return builder.add("", std::make_shared<SplitAccuracy>(ignore_index_, slice.total),
                     {builder.input(1), builder.input(2), gather_parts(builder, own)});
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

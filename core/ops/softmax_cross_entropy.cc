#include "core/ops/softmax_cross_entropy.h"

#include "core/base/error.h"
#include "core/cuda/partial_sums.h"
#include "core/graph/differentiate.h"
#include "core/graph/local_builder.h"
#include "core/ops/classes.h"
#include "core/ops/expect.h"
#include "core/ops/split_cross_entropy.h"

namespace trireme::core {
namespace {

// Max, subtract, exponentiate and add, with the polynomial of core/kernels/math.h.
constexpr int64_t kFlopsPerLogit = 22;

ValueType row_type(const ValueType& labels) { return {labels.shape, DType::kF32}; }

}  // namespace

std::vector<ValueType> SoftmaxCrossEntropy::infer(std::span<const ValueType> inputs) const {
  expect_count(type(), inputs, 2, 3);
  expect_logits_and_labels(type(), inputs);
  if (!(options_.label_smoothing >= 0 && options_.label_smoothing < 1))
    fail("[{}] expects 0 <= label_smoothing < 1, got {}", type(), options_.label_smoothing);
  return {sums_type(), row_type(inputs[1])};
}

void SoftmaxCrossEntropy::gradient(GradientBuilder& builder) const {
  const ValueId weight = builder.has_input(2) ? builder.input(2) : kNoValue;
  builder.emit("input", std::make_shared<SoftmaxCrossEntropyGrad>(options_, builder.loss_seed()),
               {builder.input(0), builder.input(1), weight, builder.output(1)}, {0});
}

std::vector<ShardingRule> SoftmaxCrossEntropy::shardings(const ShardingRequest& request) const {
  return class_shardings(request);
}

std::vector<ValueId> SoftmaxCrossEntropy::emit_local(LocalBuilder& builder) const {
  if (!builder.rule().inputs[0].is_split()) return Op::emit_local(builder);
  const ClassSlice slice = class_slice(builder);
  const ValueId x = builder.input(0), labels = builder.input(1);
  const ValueId own =
      builder.add("parts", std::make_shared<SoftmaxParts>(options_, slice), {x, labels})[0];
  return builder.add("", std::make_shared<SplitCrossEntropy>(options_, slice),
                     {x, labels, builder.input(2), gather_parts(builder, own)});
}

Cost SoftmaxCrossEntropy::cost(const NodeTypes& types) const {
  const ValueType& x = types.inputs[0];
  return {.flops = kFlopsPerLogit * x.elements(), .bytes = x.bytes()};
}

// CPU: one term a row, then added in order. CUDA: one pair a block.
int64_t SoftmaxCrossEntropy::workspace_cap(const NodeTypes& types, DeviceKind device) const {
  if (device == DeviceKind::kCuda) return kPartialSumBytes;
  return types.inputs[1].elements() * static_cast<int64_t>(sizeof(double));
}

std::vector<ValueType> SoftmaxCrossEntropyGrad::infer(std::span<const ValueType> inputs) const {
  expect_count(type(), inputs, 4, 4);
  expect_logits_and_labels(type(), inputs);
  expect_type(type(), "lse", inputs[3], row_type(inputs[1]), "one a row of x");
  return {inputs[0]};
}

Cost SoftmaxCrossEntropyGrad::cost(const NodeTypes& types) const {
  const ValueType& x = types.inputs[0];
  return {.flops = kFlopsPerLogit * x.elements(), .bytes = 2 * x.bytes()};
}

}  // namespace trireme::core

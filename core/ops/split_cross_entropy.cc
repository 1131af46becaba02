#include "core/ops/split_cross_entropy.h"

#include "core/base/error.h"
#include "core/cuda/partial_sums.h"
#include "core/graph/differentiate.h"
#include "core/graph/local_builder.h"
#include "core/ops/exchange.h"
#include "core/ops/expect.h"

namespace trireme::core {
namespace {

// As those of the whole softmax; combining a row over a few ranks is little beside it.
constexpr int64_t kFlopsPerLogit = 22;
constexpr int64_t kFlopsPerPart = 30;
constexpr int64_t kMostNumberedClasses = int64_t{1} << 24;

ValueType row_type(const ValueType& labels, int64_t numbers) {
  std::vector<int64_t> dims(labels.shape.dims().begin(), labels.shape.dims().end());
  dims.push_back(numbers);
  return {Shape(dims), DType::kF32};
}

void expect_slice(std::string_view op, const ClassSlice& slice, int64_t classes) {
  if (slice.first < 0 || slice.first + classes > slice.total)
    fail("[{}] expects a slice of {} classes, got {} to {}", op, slice.total, slice.first,
         slice.first + classes - 1);
}

// x f32(rows..., C) and labels i32(rows...).
void expect_logits(std::string_view op, const ValueType& x, const ValueType& labels,
                   const ClassSlice& slice) {
  expect_dtype(op, "x", x, DType::kF32);
  if (x.shape.rank() == 0 || x.shape[-1] == 0)
    fail("[{}] expects x (rows..., C) with C at least 1, got {}", op, x.str());
  expect_slice(op, slice, x.shape[-1]);
  expect_type(op, "labels", labels, {Shape(x.shape.dims().first(x.shape.rank() - 1)), DType::kI32},
              "one a row of x");
}

// f32(ranks, rows..., numbers), ranks being whatever there are.
void expect_parts(std::string_view op, const ValueType& parts, const ValueType& labels,
                  int64_t numbers) {
  const int64_t row = row_type(labels, numbers).elements();
  if (parts.dtype != DType::kF32 || parts.shape.rank() == 0 || parts.elements() == 0 ||
      parts.shape.elements_per_row() != row)
    fail("[{}] expects parts f32(ranks, {} rows of {}), got {}", op, labels.elements(), numbers,
         parts.str());
}

int64_t loss_workspace(const ValueType& labels, DeviceKind device) {
  if (device == DeviceKind::kCuda) return kPartialSumBytes;
  return labels.elements() * static_cast<int64_t>(sizeof(double));
}

}  // namespace

std::vector<ShardingRule> class_shardings(const ShardingRequest& request) {
  ShardingRule whole = whole_rule(request), by_class = whole;
  const Sharding& x = request.shardings[0];
  if (!x.is_split() || x.dim != request.inputs[0].shape.rank() - 1 || x.parts.size() > 1)
    return {whole};
  by_class.inputs[0] = x;
  return {by_class, whole};
}

ClassSlice class_slice(const LocalBuilder& builder) {
  const Sharding& x = builder.rule().inputs[0];
  const auto [size, rank, group] = builder.place();
  return {.first = part_ranges(x.parts, size, rank).front().first, .total = x.parts.front()};
}

ValueId gather_parts(LocalBuilder& builder, ValueId parts) {
  const Shape& own = builder.type(parts).shape;
  std::vector<int64_t> dims{builder.place().size};
  dims.insert(dims.end(), own.dims().begin(), own.dims().end());
  return builder.add(
      "all_gather",
      std::make_shared<AllGather>(builder.place(), Shape(dims), GatherGradient::kNothing),
      {parts})[0];
}

std::vector<ValueType> SoftmaxParts::infer(std::span<const ValueType> inputs) const {
  expect_count(type(), inputs, 2, 2);
  expect_logits(type(), inputs[0], inputs[1], slice_);
  return {row_type(inputs[1], 3)};
}

Cost SoftmaxParts::cost(const NodeTypes& types) const {
  const ValueType& x = types.inputs[0];
  return {.flops = kFlopsPerLogit * x.elements(), .bytes = x.bytes()};
}

std::vector<ValueType> SplitCrossEntropy::infer(std::span<const ValueType> inputs) const {
  expect_count(type(), inputs, 4, 4);
  const ValueType& labels = inputs[1];
  expect_logits(type(), inputs[0], labels, slice_);
  expect_sample_weight(type(), inputs[2], labels.elements());
  expect_parts(type(), inputs[3], labels, 3);
  return {sums_type(), {labels.shape, DType::kF32}};
}

void SplitCrossEntropy::gradient(GradientBuilder& builder) const {
  const ValueId weight = builder.has_input(2) ? builder.input(2) : kNoValue;
  builder.emit("input",
               std::make_shared<SplitCrossEntropyGrad>(options_, slice_, builder.loss_seed()),
               {builder.input(0), builder.input(1), weight, builder.output(1)}, {0});
}

Cost SplitCrossEntropy::cost(const NodeTypes& types) const {
  const ValueType& parts = types.inputs[3];
  return {.flops = kFlopsPerPart * parts.elements() / 3, .bytes = parts.bytes()};
}

int64_t SplitCrossEntropy::workspace_cap(const NodeTypes& types, DeviceKind device) const {
  return loss_workspace(types.inputs[1], device);
}

std::vector<ValueType> SplitCrossEntropyGrad::infer(std::span<const ValueType> inputs) const {
  expect_count(type(), inputs, 4, 4);
  const ValueType& labels = inputs[1];
  expect_logits(type(), inputs[0], labels, slice_);
  expect_sample_weight(type(), inputs[2], labels.elements());
  expect_type(type(), "lse", inputs[3], {labels.shape, DType::kF32}, "one a row of x");
  return {inputs[0]};
}

Cost SplitCrossEntropyGrad::cost(const NodeTypes& types) const {
  const ValueType& x = types.inputs[0];
  return {.flops = kFlopsPerLogit * x.elements(), .bytes = 2 * x.bytes()};
}

std::vector<ValueType> ArgmaxParts::infer(std::span<const ValueType> inputs) const {
  expect_count(type(), inputs, 1, 1);
  const ValueType& x = inputs[0];
  expect_dtype(type(), "x", x, DType::kF32);
  if (x.shape.rank() == 0 || x.shape[-1] == 0)
    fail("[{}] expects x (rows..., C) with C at least 1, got {}", type(), x.str());
  expect_slice(type(), slice_, x.shape[-1]);
  if (slice_.total > kMostNumberedClasses)
    fail("[{}] expects at most {} classes, got {}", type(), kMostNumberedClasses, slice_.total);
  return {{x.shape.with_dim(-1, 2), DType::kF32}};
}

Cost ArgmaxParts::cost(const NodeTypes& types) const {
  return {.flops = types.inputs[0].elements(), .bytes = types.inputs[0].bytes()};
}

std::vector<ValueType> SplitAccuracy::infer(std::span<const ValueType> inputs) const {
  expect_count(type(), inputs, 3, 3);
  expect_dtype(type(), "labels", inputs[0], DType::kI32);
  expect_sample_weight(type(), inputs[1], inputs[0].elements());
  expect_parts(type(), inputs[2], inputs[0], 2);
  return {sums_type()};
}

Cost SplitAccuracy::cost(const NodeTypes& types) const {
  return {.flops = types.inputs[2].elements(), .bytes = types.inputs[2].bytes()};
}

int64_t SplitAccuracy::workspace_cap(const NodeTypes& types, DeviceKind device) const {
  return loss_workspace(types.inputs[0], device);
}

}  // namespace trireme::core

// Reshape, a view, and the refusals of the pointwise ops.
#include "core/ops/reshape.h"

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/ops/activation.h"
#include "core/ops/add.h"
#include "core/ops/dropout.h"
#include "tests/support/references.h"

namespace trireme::test {
namespace {

using core::DType;
using core::Reshape;
using core::ValueType;

ValueType reshaped(ValueType x, std::vector<int64_t> dims) {
  return Reshape(std::move(dims)).infer(std::vector{x}).front();
}

TEST(Reshape, KeepsTheBatchAndResolvesOneOpenDimension) {
  const ValueType x{{5, 4, 6}, DType::kF32};
  EXPECT_EQ(reshaped(x, {24}), (ValueType{{5, 24}, DType::kF32}));
  EXPECT_EQ(reshaped(x, {3, -1}), (ValueType{{5, 3, 8}, DType::kF32}));
  EXPECT_EQ(reshaped(x, {-1}), (ValueType{{5, 24}, DType::kF32}));
  EXPECT_EQ(reshaped({{7}, DType::kI32}, {}), (ValueType{{7}, DType::kI32}));
  EXPECT_EQ(Reshape({24}).view_of(), 0);
}

TEST(Reshape, RefusesWhatDoesNotFit) {
  const ValueType x{{5, 4, 6}, DType::kF32};
  expect_refusal(Reshape({5, 5}), {x},
                 "[reshape] expects dimensions that hold the 24 elements of a sample of (5, 4, 6), "
                 "got (5, 5)");
  expect_refusal(Reshape({7, -1}), {x},
                 "[reshape] expects dimensions that hold the 24 elements of a sample of (5, 4, 6), "
                 "got (7, -1)");
  expect_refusal(Reshape({-1, -1}), {x},
                 "[reshape] expects dimensions of at least 0 and at most one -1, got (-1, -1)");
  expect_refusal(Reshape({1}), {{{}, DType::kF32}}, "[reshape] expects x (B, ...), got f32()");
}

TEST(PointwiseOps, RefuseWhatDoesNotFit) {
  const ValueType f{{2, 3}, DType::kF32}, i{{2, 3}, DType::kI32};
  expect_refusal(core::Add(), {f, {{3, 2}, DType::kF32}},
                 "[add] expects b f32(2, 3), as a is, got f32(3, 2)");
  expect_refusal(core::Activation(core::ActivationKind::kRelu), {i},
                 "[relu] expects x of dtype f32, got i32(2, 3)");
  expect_refusal(core::Dropout(0.5f, "d"), {{{}, DType::kF32}},
                 "[dropout] expects x (B, ...), got f32()");
  EXPECT_THROW(core::Dropout(1.0f, "d"), InvalidArgument);
  EXPECT_THROW(core::Dropout(-0.1f, "d"), InvalidArgument);
}

}  // namespace
}  // namespace trireme::test

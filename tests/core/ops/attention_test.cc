// What the attention ops refuse, count and keep to; the values are in attention_cases.cc.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/ops/cached_attention.h"
#include "core/ops/causal_attention.h"
#include "tests/support/cached_attention_check.h"
#include "tests/support/op_check.h"
#include "tests/support/references.h"

namespace trireme::test {
namespace {

using core::CachedAttention;
using core::CausalAttention;
using core::CausalAttentionGrad;
using core::DType;
using core::Shape;
using core::ValueType;

ValueType f32(Shape shape) { return {shape, DType::kF32}; }

TEST(CausalAttention, RefusesWhatDoesNotFit) {
  const CausalAttention op({.heads = 4, .kv_heads = 2, .head_dim = 8});
  expect_refusal(op, {f32({2, 5, 63})},
                 "[causal_attention] expects qkv f32(B, S, 64) for 4 heads, 2 kv_heads and "
                 "head_dim 8, got f32(2, 5, 63)");
  expect_refusal(op, {f32({5, 64})},
                 "[causal_attention] expects qkv f32(B, S, 64) for 4 heads, 2 kv_heads and "
                 "head_dim 8, got f32(5, 64)");
  expect_refusal(op, {f32({2, 0, 64})},
                 "[causal_attention] expects qkv f32(B, S, 64) for 4 heads, 2 kv_heads and "
                 "head_dim 8, got f32(2, 0, 64)");
  expect_refusal(op, {{{2, 5, 64}, DType::kI32}},
                 "[causal_attention] expects qkv of dtype f32, got i32(2, 5, 64)");
  expect_refusal(CausalAttention({.heads = 4, .kv_heads = 3, .head_dim = 8}), {f32({2, 5, 80})},
                 "[causal_attention] expects kv_heads to divide the 4 heads, got 3");
  expect_refusal(CausalAttention({.heads = 4, .kv_heads = 0, .head_dim = 8}), {f32({2, 5, 32})},
                 "[causal_attention] expects heads, kv_heads and head_dim of at least 1, got 4, 0 "
                 "and 8");
  expect_refusal(CausalAttentionGrad(op.options()),
                 {f32({2, 5, 64}), f32({2, 5, 32}), f32({2, 5, 4}), f32({2, 5, 32})},
                 "[causal_attention_grad] expects log_sum_exp f32(2, 4, 5), one a score row, got "
                 "f32(2, 5, 4)");
}

TEST(CausalAttention, CountsTheCausalHalf) {
  const CausalAttention op({.heads = 2, .kv_heads = 1, .head_dim = 3});
  const std::vector<ValueType> inputs{f32({5, 4, 12})}, outputs = op.infer(inputs);
  const core::Cost cost = op.cost({inputs, outputs});
  EXPECT_EQ(cost.flops, 2 * 2 * 3 * (1 + 2 + 3 + 4) * 2 * 5);
  EXPECT_EQ(cost.bytes, 4 * 5 * (4 * 12 + 4 * 6 + 2 * 4));
}

// The blocks of each worker, of which there are at most 64: nothing grows with S.
TEST(CausalAttention, WorkspaceDoesNotGrowWithPositions) {
  const CausalAttention op({.heads = 2, .kv_heads = 1, .head_dim = 64});
  const CausalAttentionGrad gradient(op.options());
  const auto caps = [&](int64_t positions) {
    const std::vector<ValueType> qkv{f32({1, positions, 256})}, out = op.infer(qkv);
    const std::vector<ValueType> saved{qkv[0], out[0], out[1], out[0]};
    const std::vector<ValueType> dqkv = gradient.infer(saved);
    return std::pair(op.workspace_cap({qkv, out}, core::DeviceKind::kCpu),
                     gradient.workspace_cap({saved, dqkv}, core::DeviceKind::kCpu));
  };
  EXPECT_EQ(caps(64), caps(1 << 16));
  EXPECT_LT(caps(64).second, 1 << 20);
}

// Scores of +-90 would overflow an exponential that is not taken relative to the row's largest;
// a later block's largest must correct the sums of the earlier ones.
TEST(CausalAttention, LargeScoresDoNotOverflow) {
  constexpr int64_t kPositions = 250;
  std::vector<double> qkv, want;
  for (int64_t s = 0; s < kPositions; ++s) {
    qkv.insert(qkv.end(),
               {30.0, s % 7 == 0 ? 3.0 + static_cast<double>(s) : -3.0, static_cast<double>(s)});
    want.push_back(static_cast<double>(s / 7 * 7));  // the last largest score takes it all
  }
  const CausalAttention op({.heads = 1, .kv_heads = 1, .head_dim = 1});
  const auto outputs =
      run_op(*make_cpu_op_device(2), op, {tensor_of(DType::kF32, {1, kPositions, 3}, qkv)});
  EXPECT_EQ(difference(outputs[0].values, want, 1e-6), "");
}

TEST(CausalAttention, NanStaysInItsRowAndThoseAfter) {
  const CausalAttention op({.heads = 1, .kv_heads = 1, .head_dim = 4});
  HostTensor qkv = Random(1).normal({1, 120, 12});
  qkv.values[100 * 12 + 5] = std::nan("");  // of the key at 100
  const auto y = run_op(*make_cpu_op_device(1), op, {qkv})[0].values;
  for (int64_t i = 0; i < 120 * 4; ++i) EXPECT_EQ(std::isnan(y[i]), i / 4 >= 100) << i;
}

TEST(CachedAttention, RefusesWhatDoesNotFit) {
  const CachedAttention op({.heads = 4, .kv_heads = 2, .head_dim = 8}, 16);
  const ValueType positions{{2}, DType::kI32};
  expect_refusal(op, {f32({2, 17, 64}), f32({2, 16, 32}), positions},
                 "[cached_attention] expects max_positions of at least the 17 new positions, got "
                 "16");
  expect_refusal(op, {f32({2, 5, 64}), f32({2, 15, 32}), positions},
                 "[cached_attention] expects cache f32(2, 16, 32), for qkv and max_positions, got "
                 "f32(2, 15, 32)");
  expect_refusal(op, {f32({2, 5, 64}), f32({2, 16, 32}), {{1}, DType::kI32}},
                 "[cached_attention] expects positions i32(2), one a sample, got i32(1)");
}

TEST(CachedAttention, StepByStepEqualsCausalAttention) {
  for (int threads : {1, 3}) check_cached_attention(*make_cpu_op_device(threads));
}

}  // namespace
}  // namespace trireme::test

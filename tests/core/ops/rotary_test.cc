#include "core/ops/rotary.h"

#include <gtest/gtest.h>

#include "core/ops/swiglu.h"
#include "tests/support/op_check.h"
#include "tests/support/references.h"

namespace trireme::test {
namespace {

using core::DType;
using core::Rotary;

// What makes it a position embedding: products of a query and a key depend on their distance alone.
TEST(Rotary, ProductsDependOnTheDistance) {
  const auto device = make_cpu_op_device(1);
  const core::RotaryOptions options{.heads = 2, .total_heads = 2, .head_dim = 16};
  HostTensor x = Random(61).normal({1, 1, 32});
  const auto product = [&](double query, double key) {
    const auto at = [&](double position) {
      return run_op(*device, Rotary(options), {x, tensor_of(DType::kI32, {1}, {position})})[0];
    };
    const HostTensor q = at(query), k = at(key);
    double sum = 0;
    for (size_t i = 0; i < 16; ++i) sum += q.values[i] * k.values[16 + i];
    return sum;
  };
  EXPECT_NEAR(product(3, 1), product(103, 101), 1e-4);
  EXPECT_GT(std::abs(product(3, 1) - product(3, 2)), 1e-2);
}

TEST(Rotary, InverseTurnsBack) {
  const auto device = make_cpu_op_device(2);
  const core::RotaryOptions options{.heads = 3, .total_heads = 4, .head_dim = 10};
  const HostTensor x = Random(62).normal({2, 19, 40});
  const auto turned = run_op(*device, Rotary(options), {x});
  const auto back = run_op(*device, Rotary(options, true), {turned[0]});
  EXPECT_EQ(difference(back[0].values, x.values, 1e-6), "");
  EXPECT_NE(difference(turned[0].values, x.values, 1e-2), "");
}

TEST(Rotary, RefusesWhatDoesNotFit) {
  const core::ValueType x{{2, 3, 24}, DType::kF32};
  const core::RotaryOptions fits{.heads = 2, .total_heads = 3, .head_dim = 8};
  const auto with = [&](auto change) {
    core::RotaryOptions options = fits;
    change(options);
    return Rotary(options);
  };
  expect_refusal(Rotary(fits), {{{2, 24}, DType::kF32}},
                 "[rotary] expects x f32(B, S, 24), got f32(2, 24)");
  expect_refusal(Rotary(fits), {x, {{3}, DType::kI32}},
                 "[rotary] expects positions i32(2), one a sample, got i32(3)");
  expect_refusal(with([](auto& o) { o.head_dim = 7; }), {x},
                 "[rotary] expects an even head_dim, got 7");
  expect_refusal(with([](auto& o) { o.heads = 4; }), {x},
                 "[rotary] expects 0 <= heads <= total_heads, got 4 of 3");
  expect_refusal(with([](auto& o) { o.theta = 0.5; }), {x}, "[rotary] expects theta >= 1, got 0.5");
}

TEST(SwiGlu, RefusesWhatDoesNotFit) {
  expect_refusal(core::SwiGlu(), {{{4, 7}, DType::kF32}},
                 "[swiglu] expects x f32(..., 2F), F at least 1, got f32(4, 7)");
  expect_refusal(core::SwiGluGrad(), {{{4, 3}, DType::kF32}, {{4, 8}, DType::kF32}},
                 "[swiglu_grad] expects dy f32(4, 4), half of x, got f32(4, 3)");
}

}  // namespace
}  // namespace trireme::test

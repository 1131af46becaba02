// Linear with bf16 and f16 operands on the CPU, by rounding; and by its own instructions, where it
// has them.
#include <gtest/gtest.h>

#include <cmath>

#include "core/base/error.h"
#include "core/cpu/onednn.h"
#include "core/graph/precision.h"
#include "core/ops/linear.h"
#include "tests/support/linear_half_check.h"

namespace trireme::test {
namespace {

using core::ActivationKind;
using core::DType;
using core::HalfProducts;
using core::Linear;
using core::LinearGradInput;

TEST(LinearHalf, RoundsWhatItMultipliesAndNothingElse) {
  for (int threads : {1, 3}) {
    const auto device = make_cpu_op_device(threads, HalfProducts::kRounded);
    for (DType dtype : {DType::kBF16, DType::kF16}) check_linear_half(*device, dtype);
  }
}

std::string refusal(DType dtype) {
  Random random(1);
  try {
    run_op(*make_cpu_op_device(1), Linear({.operands = dtype}),
           {random.normal({2, 3}), random.normal({4, 3})});
  } catch (const InvalidArgument& error) {
    return error.what();
  }
  return "";
}

// Where there are bf16 instructions they are tested; elsewhere they are refused.
TEST(LinearHalf, IsNativeOrRefused) {
  EXPECT_EQ(refusal(DType::kF32), "");
  EXPECT_EQ(refusal(DType::kF16), "[linear] f16 is for GPUs");
  if (core::onednn::multiplies_bf16())
    check_linear_half(*make_cpu_op_device(2), DType::kBF16);
  else
    EXPECT_TRUE(refusal(DType::kBF16)
                    .starts_with("[linear] bf16 needs AVX512-BF16 or AMX, and this CPU has "));
}

// f16 without a scale loses what bf16 and a scale keep.
TEST(LinearHalf, ScaleKeepsSmallGradientsAndOverflowsVisibly) {
  const auto device = make_cpu_op_device(1, HalfProducts::kRounded);
  const auto dx = [&](DType dtype, double dz, float scale) {
    OpSetting setting;
    setting.step.loss_scale = scale;
    return run_op(*device, LinearGradInput(dtype),
                  {tensor_of(DType::kF32, {1, 1}, {dz}), tensor_of(DType::kF32, {1, 1}, {1})},
                  setting)[0]
        .values[0];
  };
  EXPECT_EQ(dx(DType::kF16, 1e-9, 1), 0);
  EXPECT_NEAR(dx(DType::kF16, 1e-9, 65536), 1e-9, 1e-12);
  EXPECT_NEAR(dx(DType::kBF16, 1e-9, 65536), 1e-9, 4e-12);
  EXPECT_TRUE(std::isinf(dx(DType::kF16, 2, 65536)));
  EXPECT_NEAR(dx(DType::kBF16, 2, 65536), 2, 0);
}

// Of the forward graph; backward follows, and a rewrite keeps the rest of the options.
TEST(Precision, ReachesEveryProduct) {
  core::Graph graph;
  const auto x = graph.input("x", {{2, 3}, DType::kF32});
  const auto w = graph.parameter("w", {{4, 3}, DType::kF32}, {});
  const core::LinearOptions options{.activation = ActivationKind::kRelu};
  graph.add1("fc", std::make_shared<Linear>(options), {x, w, core::kNoValue});
  core::set_precision(graph, DType::kBF16);
  const auto& linear = dynamic_cast<const Linear&>(*graph.node(0).op);
  EXPECT_EQ(linear.options().operands, DType::kBF16);
  EXPECT_EQ(linear.options().activation, ActivationKind::kRelu);
  core::set_precision(graph, DType::kF32);
  EXPECT_EQ(graph.node(0).op->operands(), DType::kF32);
}

}  // namespace
}  // namespace trireme::test

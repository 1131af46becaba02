// Every kernel of ours against its op's reference in double, under several schedules of its
// threads, which must not change a bit.
#include <gtest/gtest.h>

#include "emulator_device.h"
#include "tests/support/cached_attention_check.h"
#include "tests/support/op_cases.h"
#include "tests/support/pool2d_cases.h"

namespace trireme::test {
namespace {

using Outputs = std::vector<std::vector<std::byte>>;

Outputs outputs_on(OpDevice& device, const OpCase& c) {
  Outputs outputs;
  for (const HostTensor& tensor : run_op(device, *c.op, c.inputs, c.setting))
    outputs.push_back(to_bytes(tensor));
  return outputs;
}

// Forward and gradients in one order; the same bits in all; misaligned memory serves as well.
void check(const std::vector<OpCase>& cases) {
  ASSERT_FALSE(cases.empty());
  for (const OpCase& c : cases) {
    check_op(*make_emulator_device(all_schedules()[0], false), c);
    check_forward(*make_emulator_device(all_schedules()[2], true), c);
    const Outputs first = outputs_on(*make_emulator_device(all_schedules()[0], false), c);
    for (const emulator::Schedule schedule : all_schedules())
      EXPECT_EQ(outputs_on(*make_emulator_device(schedule, false), c), first) << c.name;
  }
}

TEST(EmulatedOps, Activations) { check(activation_cases()); }
TEST(EmulatedOps, AddScaleAndDropout) { check(elementwise_cases()); }
TEST(EmulatedOps, SoftmaxCrossEntropy) { check(cross_entropy_cases()); }
TEST(EmulatedOps, MeanSquaredError) { check(mean_squared_error_cases()); }
TEST(EmulatedOps, Accuracy) { check(accuracy_cases()); }
TEST(EmulatedOps, Embedding) { check(embedding_cases()); }
TEST(EmulatedOps, Norm) { check(norm_cases()); }
TEST(EmulatedOps, NormGradients) { check(norm_grad_cases()); }
TEST(EmulatedOps, SwiGlu) { check(swiglu_cases()); }
TEST(EmulatedOps, Rotary) { check(rotary_cases()); }
TEST(EmulatedOps, CausalAttention) { check(causal_attention_cases()); }
TEST(EmulatedOps, SplitOps) { check(split_cases()); }
TEST(EmulatedOps, CachedAttention) {
  for (int schedule : {0, 2})
    check_cached_attention(*make_emulator_device(all_schedules()[schedule], false));
}

TEST(EmulatedOps, Pool2d) { check(pool2d_cases()); }

// CPU and GPU share the mathematics of one element, so they give the same bits: a dropout mask
// above all.
TEST(EmulatedOps, ElementwiseOpsAndPoolingEqualTheCpu) {
  const auto cpu = make_cpu_op_device(1);
  const auto emulated = make_emulator_device(all_schedules()[3], false);
  for (const auto& cases :
       {activation_cases(), elementwise_cases(), pool2d_cases(), swiglu_cases(), rotary_cases()})
    for (const OpCase& c : cases)
      EXPECT_EQ(outputs_on(*emulated, c), outputs_on(*cpu, c)) << c.name;
}

}  // namespace
}  // namespace trireme::test

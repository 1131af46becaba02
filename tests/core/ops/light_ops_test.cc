// Every light op against its reference in double, with 1 and 3 threads.
#include <gtest/gtest.h>

#include "tests/support/op_cases.h"

namespace trireme::test {
namespace {

class LightOps : public testing::TestWithParam<int> {
 protected:
  void check(const std::vector<OpCase>& cases) {
    ASSERT_FALSE(cases.empty());
    for (const OpCase& c : cases) check_op(*device_, c);
  }
  std::unique_ptr<OpDevice> device_ = make_cpu_op_device(GetParam());
};

TEST_P(LightOps, Activations) { check(activation_cases()); }
TEST_P(LightOps, AddScaleAndDropout) { check(elementwise_cases()); }
TEST_P(LightOps, SoftmaxCrossEntropy) { check(cross_entropy_cases()); }
TEST_P(LightOps, MeanSquaredError) { check(mean_squared_error_cases()); }
TEST_P(LightOps, Accuracy) { check(accuracy_cases()); }
TEST_P(LightOps, Embedding) { check(embedding_cases()); }
TEST_P(LightOps, Norm) { check(norm_cases()); }
TEST_P(LightOps, NormGradients) { check(norm_grad_cases()); }
TEST_P(LightOps, SwiGlu) { check(swiglu_cases()); }
TEST_P(LightOps, Rotary) { check(rotary_cases()); }
TEST_P(LightOps, CausalAttention) { check(causal_attention_cases()); }
TEST_P(LightOps, SplitOps) { check(split_cases()); }

INSTANTIATE_TEST_SUITE_P(Threads, LightOps, testing::Values(1, 3));

// The sums of a loss are added in row order whatever the threads.
TEST(LightOps, ThreadsDoNotChangeABit) {
  const auto one = make_cpu_op_device(1), three = make_cpu_op_device(3);
  for (const OpCase& c : light_op_cases()) {
    const auto a = run_op(*one, *c.op, c.inputs, c.setting);
    const auto b = run_op(*three, *c.op, c.inputs, c.setting);
    for (size_t i = 0; i < a.size(); ++i) EXPECT_EQ(to_bytes(a[i]), to_bytes(b[i])) << c.name;
  }
}

}  // namespace
}  // namespace trireme::test

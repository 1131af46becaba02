// Every op against PyTorch: tests/goldens/ops.py.
#include "tests/support/golden.h"

#include <gtest/gtest.h>

namespace trireme::test {
namespace {

constexpr double kTolerance = 3e-6;

class GoldenOps : public testing::TestWithParam<int> {};

TEST_P(GoldenOps, ForwardAndGradientsAreThoseOfPyTorch) {
  const auto device = make_cpu_op_device(GetParam());
  const std::vector<GoldenOp> cases = read_golden_ops();
  ASSERT_GE(cases.size(), 30u);
  for (const GoldenOp& golden : cases) {
    const OpCase& c = golden.op_case;
    SCOPED_TRACE(c.name);
    const std::vector<HostTensor> got = run_op(*device, *c.op, c.inputs);
    EXPECT_EQ(difference(got.front().values, golden.output, kTolerance), "");
    if (golden.gradients.empty()) continue;
    const auto gradients = gradients_of(*device, c, golden.direction);
    for (const auto& [input, want] : golden.gradients)
      EXPECT_EQ(difference(gradients.at(input).values, want, kTolerance), "")
          << "gradient of input " << input;
  }
}

INSTANTIATE_TEST_SUITE_P(Threads, GoldenOps, testing::Values(1, 2));

}  // namespace
}  // namespace trireme::test

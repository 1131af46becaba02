// The direct convolution kernels, emulated: against loops in double, and the CPU's gradients.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/cuda/convolution.h"
#include "emulator_device.h"
#include "tests/support/product_cases.h"

namespace trireme::test {
namespace {

using core::ConvolutionKind;
using core::Shape;

struct Problem {
  core::ConvolutionShape shape;
  HostTensor x, weight, dz;
};

Problem make_problem(Shape x, Shape weight, core::Conv2dOptions options) {
  Random random(static_cast<uint64_t>(x.elements() * 41 + weight.elements()));
  const std::vector<core::ValueType> types{{x, core::DType::kF32}, {weight, core::DType::kF32}};
  const Shape y = core::Conv2d(options).infer(types).front().shape;
  return {{x, weight, y, options}, random.normal(x), random.normal(weight), random.normal(y)};
}

// Guarded, so that a kernel that writes past the output's end is found out.
std::vector<double> run(ConvolutionKind kind, const core::ConvolutionShape& shape,
                        const HostTensor& a, const HostTensor& b, const HostTensor& onto,
                        bool accumulate) {
  const auto device = make_cpu_op_device(1);
  GuardedMemory out(*device, onto.type.bytes());
  out.write(to_bytes(onto));
  const std::vector<std::byte> a_bytes = to_bytes(a), b_bytes = to_bytes(b);
  core::make_direct_convolution(kind, shape)
      ->run(reinterpret_cast<const float*>(a_bytes.data()),
            reinterpret_cast<const float*>(b_bytes.data()), static_cast<float*>(out.data()),
            accumulate, nullptr, {.handle = nullptr, .device = core::DeviceKind::kCuda});
  EXPECT_TRUE(out.guards_intact());
  return from_bytes(onto.type, out.read()).values;
}

void expect_agrees(ConvolutionKind kind, const Problem& p, const HostTensor& a, const HostTensor& b,
                   const core::Op& op) {
  const auto cpu = make_cpu_op_device(1);
  const HostTensor want = run_op(*cpu, op, {a, b}).front();
  HostTensor onto = Random(13).normal(want.type.shape);
  EXPECT_EQ(difference(run(kind, p.shape, a, b, onto, false), want.values, 3e-6), "") << op.type();

  std::vector<double> sums = want.values;
  for (size_t i = 0; i < sums.size(); ++i) sums[i] += onto.values[i];
  EXPECT_EQ(difference(run(kind, p.shape, a, b, onto, true), sums, 3e-6), "")
      << op.type() << ", accumulating";
}

void check(Shape x, Shape weight, core::Conv2dOptions options) {
  const Problem p = make_problem(x, weight, options);
  SCOPED_TRACE(fmt::format("{} by {}", x.str(), weight.str()));
  expect_agrees(ConvolutionKind::kForward, p, p.x, p.weight, core::Conv2d(options));
  expect_agrees(ConvolutionKind::kGradInput, p, p.dz, p.weight, core::Conv2dGradInput(options, x));
  expect_agrees(ConvolutionKind::kGradWeight, p, p.dz, p.x,
                core::Conv2dGradWeight(options, weight, false));
}

void check_all() {
  check({1, 1, 1, 1}, {1, 1, 1, 1}, {});
  check({2, 7, 5, 3}, {4, 3, 3, 3}, {.pad_h = 1, .pad_w = 1});
  check({3, 12, 12, 1}, {6, 5, 5, 1}, {.pad_h = 2, .pad_w = 2});
  check({2, 9, 8, 4}, {8, 3, 3, 4}, {.stride_h = 2, .stride_w = 3});
  check({2, 9, 7, 6}, {4, 3, 3, 3}, {.pad_h = 1, .groups = 2});
  check({1, 11, 10, 3}, {5, 3, 2, 3}, {.pad_h = 2, .dilation_h = 2, .dilation_w = 3});
  check({2, 5, 9, 2}, {3, 1, 4, 2}, {.stride_w = 2, .pad_w = 1});
}

TEST(DirectConvolution, AgreesWithTheCpuInEveryOrder) {
  for (const emulator::Schedule schedule : all_schedules()) {
    emulator::set_schedule(schedule);
    check_all();
  }
}

}  // namespace
}  // namespace trireme::test

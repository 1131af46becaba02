// The convolutions of ours against their definition in double.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "core/cuda/convolution.h"
#include "emulator_device.h"
#include "tests/support/host_tensor.h"

namespace trireme::test {
namespace {

using core::ConvolutionKind;
using core::ConvolutionShape;
using core::Shape;

// Calls body(element of y, of x, of W) for every product in the convolution.
void for_each_product(const ConvolutionShape& s,
                      const std::function<void(int64_t, int64_t, int64_t)>& body) {
  const auto& o = s.options;
  const int64_t per_group = s.weight[3], outputs_per_group = s.y[3] / o.groups;
  for (int64_t out = 0; out < s.y.elements(); ++out) {
    const int64_t channel = out % s.y[3], ow = out / s.y[3] % s.y[2];
    const int64_t oh = out / s.y[3] / s.y[2] % s.y[1], n = out / s.y[3] / s.y[2] / s.y[1];
    for (int64_t tap = 0; tap < s.weight[1] * s.weight[2] * per_group; ++tap) {
      const int64_t c = tap % per_group, kw = tap / per_group % s.weight[2];
      const int64_t kh = tap / per_group / s.weight[2];
      const int64_t h = oh * o.stride_h - o.pad_h + kh * o.dilation_h;
      const int64_t w = ow * o.stride_w - o.pad_w + kw * o.dilation_w;
      if (h < 0 || h >= s.x[1] || w < 0 || w >= s.x[2]) continue;
      const int64_t from = channel / outputs_per_group * per_group + c;
      body(out, ((n * s.x[1] + h) * s.x[2] + w) * s.x[3] + from,
           channel * s.weight[1] * s.weight[2] * per_group + tap);
    }
  }
}

ConvolutionShape shape_of(Shape x, Shape weight, core::Conv2dOptions options) {
  const core::Conv2d op(options);
  const core::ValueType inputs[] = {{x, core::DType::kF32}, {weight, core::DType::kF32}, {}};
  return {x, weight, op.infer(inputs)[0].shape, options};
}

std::vector<float> draw(uint64_t seed, const Shape& shape) {
  Random random(seed);
  const HostTensor tensor = random.normal(shape);
  return {tensor.values.begin(), tensor.values.end()};
}

void check(const ConvolutionShape& s, ConvolutionKind kind, bool accumulate) {
  const bool forward = kind == ConvolutionKind::kForward;
  const std::vector<float> a = draw(1, forward ? s.x : s.y);
  const std::vector<float> b = draw(2, kind == ConvolutionKind::kGradWeight ? s.x : s.weight);
  const Shape& result = forward ? s.y : (kind == ConvolutionKind::kGradInput ? s.x : s.weight);
  std::vector<double> want(static_cast<size_t>(result.elements()), accumulate ? 2.0 : 0.0);
  for_each_product(s, [&](int64_t y, int64_t x, int64_t w) {
    if (forward) want[y] += static_cast<double>(a[x]) * b[w];
    if (kind == ConvolutionKind::kGradInput) want[x] += static_cast<double>(a[y]) * b[w];
    if (kind == ConvolutionKind::kGradWeight) want[w] += static_cast<double>(a[y]) * b[x];
  });
  for (const emulator::Schedule schedule : all_schedules()) {
    emulator::set_schedule(schedule);
    std::vector<float> got(want.size(), accumulate ? 2.0f : std::nanf(""));
    core::make_direct_convolution(kind, s)->run(a.data(), b.data(), got.data(), accumulate, nullptr,
                                                emulator_stream());
    for (size_t i = 0; i < want.size(); ++i) ASSERT_NEAR(got[i], want[i], 2e-5) << i;
  }
}

TEST(DirectConvolution, AgreesWithItsDefinition) {
  const ConvolutionShape shapes[] = {
      shape_of({1, 1, 1, 1}, {1, 1, 1, 1}, {}),
      shape_of({2, 5, 7, 3}, {4, 3, 2, 3}, {.pad_h = 1}),
      shape_of({2, 7, 6, 4}, {6, 3, 3, 2}, {.stride_h = 2, .pad_w = 2, .groups = 2}),
      shape_of({1, 9, 8, 2}, {3, 2, 3, 2}, {.stride_w = 3, .dilation_h = 3, .dilation_w = 2}),
  };
  for (const ConvolutionShape& s : shapes)
    for (const ConvolutionKind kind :
         {ConvolutionKind::kForward, ConvolutionKind::kGradInput, ConvolutionKind::kGradWeight})
      for (bool accumulate : {false, true}) check(s, kind, accumulate);
}

}  // namespace
}  // namespace trireme::test

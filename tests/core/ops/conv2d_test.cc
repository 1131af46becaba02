#include "core/ops/conv2d.h"

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/ops/conv2d_shape.h"
#include "tests/support/op_check.h"
#include "tests/support/references.h"

namespace trireme::test {
namespace {

using core::ActivationKind;
using core::Conv2d;
using core::Conv2dOptions;
using core::DType;
using core::Shape;
using core::ValueType;

// One element of z.
double correlate(const Conv2dOptions& options, const core::Conv2dShape& s,
                 const std::vector<HostTensor>& inputs, int64_t n, int64_t oh, int64_t ow,
                 int64_t o) {
  const int64_t channels = s.c / options.groups;
  const int64_t first = o / (s.o / options.groups) * channels;
  double sum = inputs.size() > 2 && inputs[2].present() ? inputs[2].values[o] : 0;
  for (int64_t i = 0; i < s.kh; ++i)
    for (int64_t j = 0; j < s.kw; ++j) {
      const int64_t h = oh * options.stride_h - options.pad_h + i * options.dilation_h;
      const int64_t w = ow * options.stride_w - options.pad_w + j * options.dilation_w;
      if (h < 0 || h >= s.h || w < 0 || w >= s.w) continue;
      for (int64_t c = 0; c < channels; ++c)
        sum += inputs[0].values[((n * s.h + h) * s.w + w) * s.c + first + c] *
               inputs[1].values[((o * s.kh + i) * s.kw + j) * channels + c];
    }
  return sum;
}

std::vector<std::vector<double>> reference(const Conv2dOptions& options,
                                           const std::vector<HostTensor>& inputs) {
  const core::Conv2dShape s = core::conv_shape(options, inputs[0].type.shape, inputs[1].type.shape);
  std::vector<double> y, z;
  for (int64_t n = 0; n < s.n; ++n)
    for (int64_t oh = 0; oh < s.oh; ++oh)
      for (int64_t ow = 0; ow < s.ow; ++ow)
        for (int64_t o = 0; o < s.o; ++o) {
          z.push_back(correlate(options, s, inputs, n, oh, ow, o));
          y.push_back(activate(options.activation, z.back()));
        }
  if (core::needs_input_for_gradient(options.activation)) return {y, z};
  return {y};
}

OpCase conv_case(Shape x, Shape weight, bool bias, Conv2dOptions options = {}) {
  Random random(static_cast<uint64_t>(x.elements() * 31 + weight.elements()));
  OpCase op_case{
      .name = fmt::format("conv2d {} by {}, bias {}, stride ({}, {}), pad ({}, {}), dilation ({}, "
                          "{}), groups {}, {}",
                          x.str(), weight.str(), bias, options.stride_h, options.stride_w,
                          options.pad_h, options.pad_w, options.dilation_h, options.dilation_w,
                          options.groups, core::name_of(options.activation)),
      .op = std::make_shared<Conv2d>(options),
      .inputs = {random.normal(x), random.normal(weight, 0.5),
                 bias ? random.normal(Shape{weight[0]}) : absent()},
      .reference = [options](const auto& inputs) { return reference(options, inputs); }};
  op_case.activations = {0};
  op_case.parameters = {1};
  if (bias) op_case.parameters.push_back(2);
  return op_case;
}

TEST(Conv2d, AgreesWithLoops) {
  for (int threads : {1, 2, 3}) {
    auto device = make_cpu_op_device(threads);
    check_op(*device, conv_case({1, 1, 1, 1}, {1, 1, 1, 1}, true));
    check_op(*device, conv_case({1, 5, 7, 3}, {5, 3, 2, 3}, true));
    check_op(*device, conv_case({7, 4, 3, 2}, {3, 2, 3, 2}, false));
    check_op(*device, conv_case({2, 6, 5, 8}, {16, 3, 3, 8}, true, {.pad_h = 1, .pad_w = 1}));
    check_op(*device, conv_case({2, 4, 5, 17}, {13, 1, 1, 17}, true));
  }
}

TEST(Conv2d, StridesPadsDilatesAndGroups) {
  auto device = make_cpu_op_device(2);
  check_op(*device, conv_case({2, 7, 9, 3}, {4, 3, 3, 3}, true,
                              {.stride_h = 2, .stride_w = 3, .pad_h = 1, .pad_w = 2}));
  // The last rows and columns are under no window.
  check_op(*device, conv_case({2, 8, 8, 3}, {4, 3, 3, 3}, true, {.stride_h = 4, .stride_w = 3}));
  check_op(*device, conv_case({1, 9, 8, 2}, {3, 3, 2, 2}, true,
                              {.pad_h = 2, .pad_w = 1, .dilation_h = 3, .dilation_w = 2}));
  check_op(*device, conv_case({2, 5, 5, 6}, {9, 3, 3, 2}, true, {.pad_h = 1, .groups = 3}));
  check_op(*device,
           conv_case({2, 5, 5, 8}, {8, 3, 3, 1}, true, {.pad_h = 1, .pad_w = 1, .groups = 8}));
  // More padding than the window is wide: whole windows of zeros.
  check_op(*device, conv_case({1, 3, 3, 2}, {2, 2, 2, 2}, true, {.pad_h = 3, .pad_w = 3}));
}

TEST(Conv2d, LeNetShapes) {
  for (int threads : {1, 2}) {
    auto device = make_cpu_op_device(threads);
    check_op(*device, conv_case({2, 8, 9, 1}, {6, 5, 5, 1}, true, {.pad_h = 2, .pad_w = 2}));
    check_op(*device, conv_case({2, 6, 7, 6}, {16, 5, 5, 6}, true));
    check_forward(*device, conv_case({3, 28, 28, 1}, {6, 5, 5, 1}, true, {.pad_h = 2, .pad_w = 2}));
    check_forward(*device, conv_case({3, 14, 14, 6}, {16, 5, 5, 6}, true));
  }
}

TEST(Conv2d, FusesActivations) {
  auto device = make_cpu_op_device(2);
  for (ActivationKind kind :
       {ActivationKind::kTanh, ActivationKind::kSigmoid, ActivationKind::kSilu,
        ActivationKind::kGelu, ActivationKind::kGeluTanh}) {
    check_op(*device,
             conv_case({2, 5, 5, 3}, {5, 3, 3, 3}, true, {.pad_h = 1, .activation = kind}));
    check_op(*device,
             conv_case({2, 7, 7, 1}, {6, 3, 3, 1}, false, {.pad_w = 1, .activation = kind}));
    check_forward(*device, conv_case({1, 5, 5, 8}, {16, 3, 3, 8}, true, {.activation = kind}));
  }
}

// Whole numbers and halves: no pre-activation lies near the kink of relu.
TEST(Conv2d, FusesRelu) {
  auto device = make_cpu_op_device(2);
  for (Shape weight : {Shape{5, 3, 3, 3}, Shape{16, 3, 3, 8}, Shape{6, 5, 5, 1}}) {
    OpCase op_case = conv_case({2, 6, 5, weight[3]}, weight, true,
                               {.pad_h = 1, .pad_w = 1, .activation = ActivationKind::kRelu});
    for (int i : {0, 1})
      for (double& value : op_case.inputs[i].values) value = std::round(value * 3);
    for (double& value : op_case.inputs[2].values) value = std::round(value) + 0.5;
    check_op(*device, op_case);
  }
}

TEST(Conv2d, PreparesAgainAfterAnUpdate) {
  check_prepares_again(conv_case({2, 6, 6, 8}, {16, 3, 3, 8}, true));
  check_prepares_again(conv_case({2, 6, 6, 1}, {6, 3, 3, 1}, true));
  check_prepares_again(conv_case({2, 6, 6, 6}, {16, 3, 3, 6}, true));
}

ValueType f32(Shape shape) { return {shape, DType::kF32}; }

TEST(Conv2d, RefusesWhatDoesNotFit) {
  expect_refusal(Conv2d({}), {f32({2, 5, 5, 3}), f32({4, 6, 3, 3})},
                 "[conv2d] expects a window no larger than the padded image (5, 5), got (6, 3)");
  expect_refusal(Conv2d({.pad_h = 1, .dilation_h = 4}), {f32({2, 5, 5, 3}), f32({4, 3, 3, 3})},
                 "[conv2d] expects a window no larger than the padded image (7, 5), got (9, 3)");
  expect_refusal(Conv2d({.groups = 2}), {f32({2, 5, 5, 3}), f32({4, 3, 3, 1})},
                 "[conv2d] expects C and O to be multiples of groups (2), got C 3 and O 4");
  expect_refusal(Conv2d({.groups = 2}), {f32({2, 5, 5, 4}), f32({4, 3, 3, 4})},
                 "[conv2d] expects W of 2 channels (C 4 / groups 2), got W f32(4, 3, 3, 4)");
  expect_refusal(Conv2d({}), {f32({2, 5, 5}), f32({4, 3, 3, 4})},
                 "[conv2d] expects x f32(N, H, W, C) and W f32(O, KH, KW, C / groups), none "
                 "empty, got x f32(2, 5, 5) and W f32(4, 3, 3, 4)");
  expect_refusal(Conv2d({.stride_w = 0}), {f32({2, 5, 5, 3}), f32({4, 3, 3, 3})},
                 "[conv2d] expects strides, dilations and groups of at least 1, got stride "
                 "(1, 0), dilation (1, 1), groups 1");
  expect_refusal(Conv2d({.pad_w = -1}), {f32({2, 5, 5, 3}), f32({4, 3, 3, 3})},
                 "[conv2d] expects padding of at least 0, got (0, -1)");
  expect_refusal(Conv2d({}), {f32({2, 5, 5, 3}), f32({4, 3, 3, 3}), f32({3})},
                 "[conv2d] expects b f32(4), got f32(3)");
  expect_refusal(Conv2d({}), {f32({2, 5, 5, 3})},
                 "[conv2d] expects inputs x, W and perhaps b, got 1 inputs");
}

TEST(Conv2d, GradientsRefuseWhatDoesNotFit) {
  expect_refusal(core::Conv2dGradInput({}, {2, 5, 5, 3}), {f32({2, 3, 3, 5}), f32({4, 3, 3, 3})},
                 "[conv2d_grad_input] expects dz f32(2, 3, 3, 4), got f32(2, 3, 3, 5)");
  expect_refusal(core::Conv2dGradWeight({}, {4, 3, 3, 3}, true),
                 {f32({2, 2, 3, 4}), f32({2, 5, 5, 3})},
                 "[conv2d_grad_weight] expects dz f32(2, 3, 3, 4), got f32(2, 2, 3, 4)");
}

TEST(Conv2d, CountsItsWork) {
  const std::vector<ValueType> inputs{f32({8, 5, 5, 3}), f32({4, 3, 3, 3})},
      outputs{f32({8, 3, 3, 4})};
  const core::Cost cost = Conv2d({}).cost({inputs, outputs});
  EXPECT_EQ(cost.flops, 2 * (8 * 3 * 3 * 4) * (3 * 3 * 3));
  EXPECT_EQ(cost.bytes, 4 * (8 * 5 * 5 * 3 + 4 * 27 + 8 * 9 * 4));
}

}  // namespace
}  // namespace trireme::test

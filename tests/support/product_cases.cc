#include "tests/support/product_cases.h"

#include <fmt/format.h>

#include <cmath>

#include "tests/support/references.h"

namespace trireme::test {
namespace {

using core::ActivationKind;
using core::Conv2dOptions;
using core::Shape;
using Values = std::vector<std::vector<double>>;

// {f(z)}, or {f(z), z} where the op keeps z.
Values activated(ActivationKind kind, std::vector<double> z) {
  std::vector<double> y;
  for (double value : z) y.push_back(activate(kind, value));
  if (core::needs_input_for_gradient(kind)) return {y, std::move(z)};
  return {y};
}

double bias_of(const std::vector<HostTensor>& inputs, int64_t o) {
  return inputs[2].present() ? inputs[2].values[o] : 0;
}

Values linear_reference(ActivationKind kind, const std::vector<HostTensor>& inputs) {
  const HostTensor &x = inputs[0], &weight = inputs[1];
  const int64_t out = weight.type.shape[0], in = weight.type.shape[1];
  std::vector<double> z;
  for (int64_t row = 0; row < x.size() / in; ++row)
    for (int64_t o = 0; o < out; ++o) {
      z.push_back(bias_of(inputs, o));
      for (int64_t i = 0; i < in; ++i)
        z.back() += x.values[row * in + i] * weight.values[o * in + i];
    }
  return activated(kind, std::move(z));
}

double window_sum(const Conv2dOptions& options, const HostTensor& x, const HostTensor& weight,
                  int64_t n, int64_t oh, int64_t ow, int64_t o) {
  const Shape &xs = x.type.shape, &ws = weight.type.shape;
  const int64_t first_channel = o / (ws[0] / options.groups) * ws[3];
  double sum = 0;
  for (int64_t kh = 0; kh < ws[1]; ++kh)
    for (int64_t kw = 0; kw < ws[2]; ++kw)
      for (int64_t c = 0; c < ws[3]; ++c) {
        const int64_t h = oh * options.stride_h - options.pad_h + kh * options.dilation_h;
        const int64_t w = ow * options.stride_w - options.pad_w + kw * options.dilation_w;
        if (h < 0 || h >= xs[1] || w < 0 || w >= xs[2]) continue;
        sum += x.values[((n * xs[1] + h) * xs[2] + w) * xs[3] + first_channel + c] *
               weight.values[((o * ws[1] + kh) * ws[2] + kw) * ws[3] + c];
      }
  return sum;
}

Values conv2d_reference(const core::Conv2d& op, const std::vector<HostTensor>& inputs) {
  const std::vector<core::ValueType> types{inputs[0].type, inputs[1].type, inputs[2].type};
  const Shape y = op.infer(types).front().shape;
  std::vector<double> z;
  for (int64_t n = 0; n < y[0]; ++n)
    for (int64_t oh = 0; oh < y[1]; ++oh)
      for (int64_t ow = 0; ow < y[2]; ++ow)
        for (int64_t o = 0; o < y[3]; ++o)
          z.push_back(bias_of(inputs, o) +
                      window_sum(op.options(), inputs[0], inputs[1], n, oh, ow, o));
  return activated(op.options().activation, std::move(z));
}

// Halves that are no whole numbers keep every pre-activation off the kink of relu.
void round_for_relu(OpCase& op_case) {
  for (int i : {0, 1})
    for (double& value : op_case.inputs[i].values) value = std::round(value * 2);
  for (double& value : op_case.inputs[2].values) value = std::round(value) + 0.5;
}

OpCase finish(OpCase op_case, bool bias, ActivationKind kind) {
  op_case.activations = {0};
  op_case.parameters = bias ? std::vector<int>{1, 2} : std::vector<int>{1};
  if (kind == ActivationKind::kRelu) round_for_relu(op_case);
  return op_case;
}

}  // namespace

OpCase linear_case(Shape x, int64_t out, bool bias, ActivationKind kind) {
  Random random(static_cast<uint64_t>(x.elements() * 31 + out));
  OpCase op_case{
      .name = fmt::format("linear {} to {}, bias {}, {}", x.str(), out, bias, core::name_of(kind)),
      .op = std::make_shared<core::Linear>(core::LinearOptions{.activation = kind}),
      .inputs = {random.normal(x), random.normal(Shape{out, x[-1]}, 0.5),
                 bias ? random.normal(Shape{out}) : absent()},
      .reference = [kind](const auto& in) { return linear_reference(kind, in); }};
  return finish(std::move(op_case), bias, kind);
}

OpCase conv2d_case(Shape x, Shape weight, Conv2dOptions options, bool bias) {
  Random random(static_cast<uint64_t>(x.elements() * 37 + weight.elements()));
  auto op = std::make_shared<core::Conv2d>(options);
  OpCase op_case{.name = fmt::format("conv2d {} by {}, bias {}, {}", x.str(), weight.str(), bias,
                                     core::name_of(options.activation)),
                 .op = op,
                 .inputs = {random.normal(x), random.normal(weight, 0.5),
                            bias ? random.normal(Shape{weight[0]}) : absent()},
                 .reference = [op](const auto& in) { return conv2d_reference(*op, in); }};
  return finish(std::move(op_case), bias, options.activation);
}

}  // namespace trireme::test

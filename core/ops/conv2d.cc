#include "core/ops/conv2d.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/graph/differentiate.h"
#include "core/ops/activation.h"
#include "core/ops/conv2d_shape.h"

namespace trireme::core {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;

int64_t round_up(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

bool is_f32(const ValueType& type, int rank) {
  return type.dtype == DType::kF32 && type.shape.rank() == rank && type.elements() > 0;
}

void check_options(std::string_view op, const Conv2dOptions& options) {
  const auto positive = {options.stride_h, options.stride_w, options.dilation_h, options.dilation_w,
                         options.groups};
  if (std::ranges::any_of(positive, [](int64_t v) { return v < 1; }))
    fail(
        "[{}] expects strides, dilations and groups of at least 1, got stride ({}, {}), dilation "
        "({}, {}), groups {}",
        op, options.stride_h, options.stride_w, options.dilation_h, options.dilation_w,
        options.groups);
  if (options.pad_h < 0 || options.pad_w < 0)
    fail("[{}] expects padding of at least 0, got ({}, {})", op, options.pad_h, options.pad_w);
}

// Throws unless the window of `weight` runs over `x`; gives the type of y.
ValueType infer_output(std::string_view op, const Conv2dOptions& options, const ValueType& x,
                       const ValueType& weight) {
  check_options(op, options);
  if (!is_f32(x, 4) || !is_f32(weight, 4))
    fail(
        "[{}] expects x f32(N, H, W, C) and W f32(O, KH, KW, C / groups), none empty, got x {} and "
        "W {}",
        op, x.str(), weight.str());
  const int64_t channels = x.shape[3], out = weight.shape[0];
  if (channels % options.groups != 0 || out % options.groups != 0)
    fail("[{}] expects C and O to be multiples of groups ({}), got C {} and O {}", op,
         options.groups, channels, out);
  if (weight.shape[3] != channels / options.groups)
    fail("[{}] expects W of {} channels (C {} / groups {}), got W {}", op,
         channels / options.groups, channels, options.groups, weight.str());
  const Conv2dShape shape = conv_shape(options, x.shape, weight.shape);
  if (shape.oh < 1 || shape.ow < 1)
    fail("[{}] expects a window no larger than the padded image ({}, {}), got ({}, {})", op,
         shape.h + 2 * options.pad_h, shape.w + 2 * options.pad_w,
         options.dilation_h * (shape.kh - 1) + 1, options.dilation_w * (shape.kw - 1) + 1);
  return {Shape{shape.n, shape.oh, shape.ow, shape.o}, DType::kF32};
}

Cost convolution_cost(const NodeTypes& types, int64_t result_elements, const Shape& weight) {
  Cost cost{.flops = 2 * result_elements * weight.elements_per_row(), .bytes = 0};
  for (const ValueType& type : types.inputs) cost.bytes += type.bytes();
  for (const ValueType& type : types.outputs) cost.bytes += type.bytes();
  return cost;
}

// Room for what libraries unfold or transpose: a window matrix of one image for each of 64 threads,
// a copy of the weight for each, and reordered operands; within reason. An implementation that
// wants more gives way to one that wants less.
int64_t workspace_bytes(const Conv2dShape& shape, const Conv2dOptions& options, DeviceKind device) {
  if (device == DeviceKind::kCuda) return 256 * kMiB;
  const int64_t window = shape.kh * shape.kw * shape.c;
  const int64_t unfolded = shape.oh * shape.ow * (window + round_up(shape.o, 16));
  const int64_t weight = window * round_up(shape.o, 16) / options.groups;
  const int64_t threads = std::min<int64_t>(shape.n, 64);
  return std::min(256 * kMiB, kMiB + 4 * (threads * unfolded + 64 * weight));
}

// oneDNN's formats pad the channels of a group to multiples of at most 16 (64 on the way out), or,
// where a group has one channel, the groups.
int64_t prepared_bytes(const Shape& weight, const Conv2dOptions& options, DeviceKind device) {
  if (device == DeviceKind::kCuda) return 0;
  const int64_t groups = options.groups, out = weight[0] / groups, in = weight[3];
  const int64_t taps = 4 * weight[1] * weight[2];
  if (out == 1 && in == 1) return taps * round_up(groups, 16);
  return taps * groups * round_up(out, groups == 1 ? 64 : 16) * round_up(in, 16);
}

}  // namespace

std::vector<ValueType> Conv2d::infer(std::span<const ValueType> inputs) const {
  if (inputs.size() != 2 && inputs.size() != 3)
    fail("[conv2d] expects inputs x, W and perhaps b, got {} inputs", inputs.size());
  const ValueType y = infer_output("conv2d", options_, inputs[0], inputs[1]);
  if (inputs.size() == 3 && inputs[2].present() &&
      !(inputs[2] == ValueType{Shape{y.shape[3]}, DType::kF32}))
    fail("[conv2d] expects b f32({}), got {}", y.shape[3], inputs[2].str());
  if (needs_input_for_gradient(options_.activation)) return {y, y};
  return {y};
}

void Conv2d::gradient(GradientBuilder& builder) const {
  ValueId dz = builder.output_gradient(0);
  if (dz == kNoValue) return;
  const ActivationKind kind = options_.activation;
  if (kind != ActivationKind::kNone) {
    const ValueId saved = builder.output(needs_input_for_gradient(kind) ? 1 : 0);
    dz = builder.emit_intermediate("activation", std::make_shared<ActivationGrad>(kind),
                                   {dz, saved})[0];
  }
  const ValueId x = builder.input(0), weight = builder.input(1);
  if (builder.wants(0))
    builder.emit("input", std::make_shared<Conv2dGradInput>(options_, builder.type(x).shape),
                 {dz, weight}, {0});
  const bool wants_bias = builder.has_input(2) && builder.wants(2);
  if (!builder.wants(1) && !wants_bias) return;
  builder.emit("weight",
               std::make_shared<Conv2dGradWeight>(options_, builder.type(weight).shape, wants_bias),
               {dz, x}, wants_bias ? std::vector<int>{1, 2} : std::vector<int>{1});
}

Cost Conv2d::cost(const NodeTypes& types) const {
  return convolution_cost(types, types.outputs[0].elements(), types.inputs[1].shape);
}

int64_t Conv2d::workspace_cap(const NodeTypes& types, DeviceKind device) const {
  return workspace_bytes(conv_shape(options_, types.inputs[0].shape, types.inputs[1].shape),
                         options_, device);
}

int64_t Conv2d::prepared_cap(const NodeTypes& types, DeviceKind device) const {
  return prepared_bytes(types.inputs[1].shape, options_, device);
}

std::vector<ValueType> Conv2dGradInput::infer(std::span<const ValueType> inputs) const {
  if (inputs.size() != 2)
    fail("[conv2d_grad_input] expects inputs dz and W, got {} inputs", inputs.size());
  const ValueType x{x_, DType::kF32};
  const ValueType y = infer_output("conv2d_grad_input", options_, x, inputs[1]);
  if (!(inputs[0] == y))
    fail("[conv2d_grad_input] expects dz {}, got {}", y.str(), inputs[0].str());
  return {x};
}

Cost Conv2dGradInput::cost(const NodeTypes& types) const {
  return convolution_cost(types, types.inputs[0].elements(), types.inputs[1].shape);
}

int64_t Conv2dGradInput::workspace_cap(const NodeTypes& types, DeviceKind device) const {
  return workspace_bytes(conv_shape(options_, x_, types.inputs[1].shape), options_, device);
}

int64_t Conv2dGradInput::prepared_cap(const NodeTypes& types, DeviceKind device) const {
  return prepared_bytes(types.inputs[1].shape, options_, device);
}

std::vector<ValueType> Conv2dGradWeight::infer(std::span<const ValueType> inputs) const {
  if (inputs.size() != 2)
    fail("[conv2d_grad_weight] expects inputs dz and x, got {} inputs", inputs.size());
  const ValueType weight{weight_, DType::kF32};
  const ValueType y = infer_output("conv2d_grad_weight", options_, inputs[1], weight);
  if (!(inputs[0] == y))
    fail("[conv2d_grad_weight] expects dz {}, got {}", y.str(), inputs[0].str());
  if (has_bias_) return {weight, {Shape{weight_[0]}, DType::kF32}};
  return {weight};
}

Cost Conv2dGradWeight::cost(const NodeTypes& types) const {
  Cost cost = convolution_cost(types, types.inputs[0].elements(), weight_);
  if (has_bias_) cost.flops += types.inputs[0].elements();
  return cost;
}

// Besides, a result of its own, for accumulation.
int64_t Conv2dGradWeight::workspace_cap(const NodeTypes& types, DeviceKind device) const {
  return round_up(4 * (weight_.elements() + weight_[0]), 256) +
         workspace_bytes(conv_shape(options_, types.inputs[1].shape, weight_), options_, device);
}

}  // namespace trireme::core

#include "core/ops/pool2d.h"

#include "core/base/error.h"
#include "core/graph/differentiate.h"
#include "core/ops/pool2d_shape.h"

namespace trireme::core {
namespace {

void check_window(std::string_view op, const Pool2dOptions& options) {
  if (options.kernel_h < 1 || options.kernel_w < 1 || options.stride_h < 1 || options.stride_w < 1)
    fail("[{}] expects a window and strides of at least 1, got window ({}, {}), stride ({}, {})",
         op, options.kernel_h, options.kernel_w, options.stride_h, options.stride_w);
  if (options.pad_h < 0 || options.pad_w < 0 || 2 * options.pad_h > options.kernel_h ||
      2 * options.pad_w > options.kernel_w)
    fail("[{}] expects padding from 0 to half of the window ({}, {}), got ({}, {})", op,
         options.kernel_h, options.kernel_w, options.pad_h, options.pad_w);
}

ValueType infer_output(std::string_view op, const Pool2dOptions& options, const ValueType& x) {
  check_window(op, options);
  if (x.dtype != DType::kF32 || x.shape.rank() != 4 || x.elements() == 0)
    fail("[{}] expects x f32(N, H, W, C), not empty, got {}", op, x.str());
  const Pool2dShape shape = pool_shape(options, x.shape);
  if (shape.oh < 1 || shape.ow < 1)
    fail("[{}] expects a window no larger than the padded image ({}, {}), got ({}, {})", op,
         shape.h + 2 * options.pad_h, shape.w + 2 * options.pad_w, options.kernel_h,
         options.kernel_w);
  return {Shape{shape.n, shape.oh, shape.ow, shape.c}, DType::kF32};
}

Cost pool_cost(const NodeTypes& types, int64_t results, const Pool2dOptions& options) {
  Cost cost{.flops = results * options.kernel_h * options.kernel_w, .bytes = 0};
  for (const ValueType& type : types.inputs) cost.bytes += type.bytes();
  for (const ValueType& type : types.outputs) cost.bytes += type.bytes();
  return cost;
}

}  // namespace

std::vector<ValueType> Pool2d::infer(std::span<const ValueType> inputs) const {
  if (inputs.size() != 1) fail("[{}] expects one input, got {} inputs", type(), inputs.size());
  const ValueType y = infer_output(type(), options_, inputs[0]);
  if (options_.kind == PoolKind::kAverage) return {y};
  return {y, {y.shape, pool_which_dtype(options_)}};
}

void Pool2d::gradient(GradientBuilder& builder) const {
  const ValueId dy = builder.output_gradient(0);
  if (dy == kNoValue || !builder.wants(0)) return;
  std::vector<ValueId> inputs{dy};
  if (options_.kind == PoolKind::kMax) inputs.push_back(builder.output(1));
  builder.emit("input",
               std::make_shared<Pool2dGrad>(options_, builder.type(builder.input(0)).shape), inputs,
               {0});
}

Cost Pool2d::cost(const NodeTypes& types) const {
  return pool_cost(types, types.outputs[0].elements(), options_);
}

std::vector<ValueType> Pool2dGrad::infer(std::span<const ValueType> inputs) const {
  const bool is_max = options_.kind == PoolKind::kMax;
  if (inputs.size() != (is_max ? 2 : 1))
    fail("[pool2d_grad] expects {}, got {} inputs", is_max ? "inputs dy and which" : "one input",
         inputs.size());
  const ValueType x{x_, DType::kF32};
  const ValueType y = infer_output("pool2d_grad", options_, x);
  if (!(inputs[0] == y)) fail("[pool2d_grad] expects dy {}, got {}", y.str(), inputs[0].str());
  const ValueType which{y.shape, pool_which_dtype(options_)};
  if (is_max && !(inputs[1] == which))
    fail("[pool2d_grad] expects which {}, got {}", which.str(), inputs[1].str());
  return {x};
}

Cost Pool2dGrad::cost(const NodeTypes& types) const {
  return pool_cost(types, types.inputs[0].elements(), options_);
}

}  // namespace trireme::core

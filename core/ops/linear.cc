#include "core/ops/linear.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/graph/differentiate.h"
#include "core/graph/local_builder.h"
#include "core/ops/activation.h"
#include "core/ops/exchange.h"
#include "core/ops/linear_product.h"

namespace trireme::core {
namespace {

// Libraries ask for up to this much on a GPU (cuBLASLt's advice for Hopper).
constexpr int64_t kCudaWorkspaceBytes = int64_t{32} << 20;
constexpr int64_t kCpuWorkspaceBytes = int64_t{4} << 20;
constexpr int64_t kCpuHalfWorkspaceBytes = int64_t{16} << 20;  // it packs an operand for AMX

int64_t round_up(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

int64_t half_bytes(int64_t elements) { return round_up(elements * size_of(DType::kBF16), 256); }

// The library's, and in front of it the rounded copies of activations; or that of our own product,
// which a CPU may run in its place.
int64_t workspace_bytes(DeviceKind device, DType operands, const Avx2Product& own,
                        std::initializer_list<ValueType> activations) {
  const int64_t own_bytes = device == DeviceKind::kCpu ? own.workspace_bytes() : 0;
  if (device == DeviceKind::kCpu && operands == DType::kF32)
    return std::max(kCpuWorkspaceBytes, own_bytes);
  int64_t bytes = device == DeviceKind::kCuda ? kCudaWorkspaceBytes : kCpuHalfWorkspaceBytes;
  if (operands != DType::kF32)
    for (const ValueType& type : activations) bytes += half_bytes(type.elements());
  return std::max(bytes, own_bytes);
}

// oneDNN's formats for weights pad both dimensions to at most 64.
int64_t prepared_bytes(const ValueType& weight, DeviceKind device, DType operands) {
  if (device == DeviceKind::kCuda)
    return operands == DType::kF32 ? 0 : half_bytes(weight.elements());
  return round_up(weight.shape[0], 64) * round_up(weight.shape[1], 64) * size_of(operands);
}

// `rounded`: elements of activations that are written as halves, and read, before they are
// multiplied.
Cost product_cost(const NodeTypes& types, int64_t multiply_adds, DType operands, int64_t rounded) {
  Cost cost{.flops = 2 * multiply_adds, .bytes = 0};
  for (const ValueType& type : types.inputs) cost.bytes += type.bytes();
  for (const ValueType& type : types.outputs) cost.bytes += type.bytes();
  if (operands != DType::kF32) cost.bytes += 2 * size_of(operands) * rounded;
  return cost;
}

bool is_f32(const ValueType& type, int min_rank) {
  return type.dtype == DType::kF32 && type.shape.rank() >= min_rank && type.elements() > 0;
}

bool is_f32_of(const ValueType& type, const Shape& shape) {
  return type.dtype == DType::kF32 && type.shape == shape;
}

}  // namespace

Avx2Product linear_product(const NodeTypes& types) {
  const Shape& weight = types.inputs[1].shape;
  return {.m = types.inputs[0].elements() / weight[1],
          .n = weight[0],
          .k = weight[1],
          .b_transposed = true};
}

Avx2Product linear_grad_input_product(const NodeTypes& types) {
  const Shape& weight = types.inputs[1].shape;
  return {.m = types.inputs[0].elements() / weight[0], .n = weight[1], .k = weight[0]};
}

Avx2Product linear_grad_weight_product(const NodeTypes& types) {
  const int64_t out = types.outputs[0].shape[0];
  return {.m = out,
          .n = types.outputs[0].shape[1],
          .k = types.inputs[0].elements() / out,
          .a_transposed = true};
}

std::vector<ValueType> Linear::infer(std::span<const ValueType> inputs) const {
  if (inputs.size() != 2 && inputs.size() != 3)
    fail("[linear] expects inputs x, W and perhaps b, got {} inputs", inputs.size());
  const ValueType &x = inputs[0], &weight = inputs[1];
  if (!is_f32(x, 1) || !is_f32(weight, 2) || weight.shape.rank() != 2 ||
      x.shape[-1] != weight.shape[1])
    fail("[linear] expects x f32(..., I) and W f32(O, I), none empty, got x {} and W {}", x.str(),
         weight.str());
  const int64_t out = weight.shape[0];
  if (inputs.size() == 3 && inputs[2].present() && !is_f32_of(inputs[2], Shape{out}))
    fail("[linear] expects b f32({}), got {}", out, inputs[2].str());
  const ValueType y{x.shape.with_dim(-1, out), DType::kF32};
  if (needs_input_for_gradient(options_.activation)) return {y, y};
  return {y};
}

void Linear::gradient(GradientBuilder& builder) const {
  ValueId dz = builder.output_gradient(0);
  if (dz == kNoValue) return;
  const ActivationKind kind = options_.activation;
  if (kind != ActivationKind::kNone) {
    const ValueId saved = builder.output(needs_input_for_gradient(kind) ? 1 : 0);
    dz = builder.emit_intermediate("activation", std::make_shared<ActivationGrad>(kind),
                                   {dz, saved})[0];
  }
  if (builder.wants(0))
    builder.emit("input", std::make_shared<LinearGradInput>(operands()), {dz, builder.input(1)},
                 {0});
  const bool wants_bias = builder.has_input(2) && builder.wants(2);
  if (!builder.wants(1) && !wants_bias) return;
  builder.emit("weight", std::make_shared<LinearGradWeight>(wants_bias, operands()),
               {dz, builder.input(0)}, wants_bias ? std::vector<int>{1, 2} : std::vector<int>{1});
}

OpPtr Linear::with_operands(DType operands) const {
  LinearOptions options = options_;
  options.operands = operands;
  return std::make_shared<Linear>(options);
}

// By columns of the output, or by rows of W^T, whose products are then added up (Shoeybi et al.,
// Megatron-LM, 2019). The bias is added once, by the rank that holds it.
std::vector<ShardingRule> Linear::shardings(const ShardingRequest& request) const {
  const Shape &x = request.inputs[0].shape, &weight = request.inputs[1].shape;
  const SplitHint& hint = request.hints[1];
  ShardingRule rule = whole_rule(request);
  if (hint.dim < 0) return {rule};
  rule.inputs[1] = Sharding::split(weight, hint);
  if (hint.dim == 0) {
    rule.inputs[0] = Sharding::shared();
    if (rule.inputs.size() > 2) rule.inputs[2] = rule.inputs[1];
    for (Sharding& y : rule.outputs) y = Sharding::split(request.outputs[0].shape, -1, hint.parts);
    return {rule};
  }
  rule.inputs[0] = Sharding::split(x, -1, hint.parts);
  if (rule.inputs.size() > 2) rule.inputs[2] = Sharding::partial();
  if (options_.activation == ActivationKind::kNone) rule.outputs[0] = Sharding::partial();
  return {rule};
}

// An activation waits for the sum.
std::vector<ValueId> Linear::emit_local(LocalBuilder& builder) const {
  const Sharding& weight = builder.rule().inputs[1];
  const bool adds_up = weight.is_split() && weight.dim == 1;
  if (!adds_up || options_.activation == ActivationKind::kNone) return Op::emit_local(builder);
  const LinearOptions product{.operands = options_.operands};
  ValueId y = builder.add("product", std::make_shared<Linear>(product), builder.inputs())[0];
  y = builder.add("all_reduce", std::make_shared<AllReduce>(builder.place()), {y})[0];
  y = builder.add("", std::make_shared<Activation>(options_.activation), {y})[0];
  return needs_input_for_gradient(options_.activation) ? std::vector{y, kNoValue} : std::vector{y};
}

Cost Linear::cost(const NodeTypes& types) const {
  return product_cost(types, types.outputs[0].elements() * types.inputs[1].shape[1], operands(),
                      types.inputs[0].elements());
}

int64_t Linear::workspace_cap(const NodeTypes& types, DeviceKind device) const {
  return workspace_bytes(device, operands(), linear_product(types), {types.inputs[0]});
}

int64_t Linear::prepared_cap(const NodeTypes& types, DeviceKind device) const {
  return prepared_bytes(types.inputs[1], device, operands());
}

std::vector<ValueType> LinearGradInput::infer(std::span<const ValueType> inputs) const {
  if (inputs.size() != 2)
    fail("[linear_grad_input] expects inputs dz and W, got {} inputs", inputs.size());
  const ValueType &dz = inputs[0], &weight = inputs[1];
  if (!is_f32(dz, 1) || !is_f32(weight, 2) || weight.shape.rank() != 2 ||
      dz.shape[-1] != weight.shape[0])
    fail(
        "[linear_grad_input] expects dz f32(..., O) and W f32(O, I), none empty, got dz {} and W "
        "{}",
        dz.str(), weight.str());
  return {{dz.shape.with_dim(-1, weight.shape[1]), DType::kF32}};
}

Cost LinearGradInput::cost(const NodeTypes& types) const {
  return product_cost(types, types.inputs[0].elements() * types.inputs[1].shape[1], operands_,
                      types.inputs[0].elements());
}

int64_t LinearGradInput::workspace_cap(const NodeTypes& types, DeviceKind device) const {
  return workspace_bytes(device, operands_, linear_grad_input_product(types), {types.inputs[0]});
}

int64_t LinearGradInput::prepared_cap(const NodeTypes& types, DeviceKind device) const {
  return prepared_bytes(types.inputs[1], device, operands_);
}

std::vector<ValueType> LinearGradWeight::infer(std::span<const ValueType> inputs) const {
  if (inputs.size() != 2)
    fail("[linear_grad_weight] expects inputs dz and x, got {} inputs", inputs.size());
  const ValueType &dz = inputs[0], &x = inputs[1];
  if (!is_f32(dz, 1) || !is_f32(x, 1) || !(x.shape.with_dim(-1, dz.shape[-1]) == dz.shape))
    fail(
        "[linear_grad_weight] expects dz f32(..., O) and x f32(..., I), none empty, got dz {} and "
        "x {}",
        dz.str(), x.str());
  const int64_t out = dz.shape[-1];
  const ValueType dweight{Shape{out, x.shape[-1]}, DType::kF32};
  if (has_bias_) return {dweight, {Shape{out}, DType::kF32}};
  return {dweight};
}

Cost LinearGradWeight::cost(const NodeTypes& types) const {
  Cost cost = product_cost(types, types.inputs[0].elements() * types.inputs[1].shape[-1], operands_,
                           types.inputs[0].elements() + types.inputs[1].elements());
  if (has_bias_) cost.flops += types.inputs[0].elements();
  return cost;
}

int64_t LinearGradWeight::workspace_cap(const NodeTypes& types, DeviceKind device) const {
  return workspace_bytes(device, operands_, linear_grad_weight_product(types),
                         {types.inputs[0], types.inputs[1]});
}

}  // namespace trireme::core

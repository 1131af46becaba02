#include "core/ops/rotary.h"

#include "core/base/error.h"
#include "core/graph/differentiate.h"
#include "core/graph/local_builder.h"
#include "core/ops/expect.h"

namespace trireme::core {
namespace {

void check_options(std::string_view op, const RotaryOptions& o) {
  if (o.head_dim < 2 || o.head_dim % 2 != 0)
    fail("[{}] expects an even head_dim, got {}", op, o.head_dim);
  if (o.heads < 0 || o.heads > o.total_heads || o.total_heads < 1)
    fail("[{}] expects 0 <= heads <= total_heads, got {} of {}", op, o.heads, o.total_heads);
  if (!(o.theta >= 1)) fail("[{}] expects theta >= 1, got {}", op, o.theta);
}

}  // namespace

std::vector<ValueType> Rotary::infer(std::span<const ValueType> inputs) const {
  expect_count(type(), inputs, 1, 2);
  check_options(type(), options_);
  const ValueType& x = inputs[0];
  const int64_t width = options_.total_heads * options_.head_dim;
  if (x.dtype != DType::kF32 || x.shape.rank() != 3 || x.shape[2] != width)
    fail("[{}] expects x f32(B, S, {}), got {}", type(), width, x.str());
  const ValueType positions = operand(inputs, 1);
  if (positions.present())
    expect_type(type(), "positions", positions, {{x.shape[0]}, DType::kI32}, "one a sample");
  return {x};
}

void Rotary::gradient(GradientBuilder& builder) const {
  const ValueId positions = builder.has_input(1) ? builder.input(1) : kNoValue;
  builder.emit("input", std::make_shared<Rotary>(options_, !inverse_),
               {builder.output_gradient(0), positions}, {0});
}

// Heads are cut as x has them, if what is rotated ends where a part ends.
std::vector<ShardingRule> Rotary::shardings(const ShardingRequest& request) const {
  const Sharding& x = request.shardings[0];
  ShardingRule whole = whole_rule(request), by_heads = whole;
  if (!x.is_split() || x.dim != 2) return {whole};
  int64_t end = 0;
  bool fits = false;
  for (int64_t part : x.parts) {
    if (part % options_.head_dim != 0) return {whole};
    end += part;
    fits |= end == options_.heads * options_.head_dim;
  }
  by_heads.inputs[0] = by_heads.outputs[0] = x;
  return fits ? std::vector{by_heads, whole} : std::vector{whole};
}

OpPtr Rotary::local(const LocalBuilder& builder) const {
  const Sharding& x = builder.rule().inputs[0];
  if (!x.is_split()) return nullptr;
  const int size = builder.place().size;
  for (int64_t part : x.parts) expect_divides(type(), "heads", part / options_.head_dim, size);
  RotaryOptions options = options_;
  options.heads /= size;
  options.total_heads /= size;
  return std::make_shared<Rotary>(options, inverse_);
}

Cost Rotary::cost(const NodeTypes& types) const {
  const ValueType& x = types.inputs[0];
  const int64_t rotated = x.elements() / options_.total_heads * options_.heads;
  return {.flops = 3 * rotated, .bytes = 2 * x.bytes()};
}

}  // namespace trireme::core

#include "core/ops/parts.h"

#include <functional>
#include <numeric>

#include "core/base/error.h"
#include "core/graph/differentiate.h"
#include "core/ops/exchange.h"
#include "core/ops/expect.h"

namespace trireme::core {
namespace {

int64_t product(std::span<const int64_t> dims) {
  return std::accumulate(dims.begin(), dims.end(), int64_t{1}, std::multiplies<>());
}

Cost copy_cost(const NodeTypes& types) {
  return {.flops = 0, .bytes = 2 * types.outputs[0].bytes()};
}

}  // namespace

PartsCut::PartsCut(int64_t outer, std::vector<int64_t> parts, int64_t inner, TensorPlace place)
    : outer(outer), inner(inner), place(place) {
  if (parts.size() > kMaxParts)
    fail("[parts] expects at most {} fused parts, got {}", kMaxParts, parts.size());
  for (int64_t extent : parts) {
    if (extent % place.size != 0)
      fail("[parts] expects {} equal shares of {} elements: they cannot be gathered", place.size,
           extent);
    shares.push_back(extent / place.size);
  }
}

int64_t PartsCut::local_extent() const {
  return std::accumulate(shares.begin(), shares.end(), int64_t{0});
}

PartsCut blocks_cut(const Shape& shape, const TensorPlace& place) {
  return {1, {shape.elements()}, 1, place};
}

PartsCut parts_cut(const Shape& shape, const Sharding& sharding, const TensorPlace& place) {
  if (sharding.kind == Sharding::Kind::kRows) return blocks_cut(shape, place);
  const auto dims = shape.dims();
  const auto dim = static_cast<size_t>(sharding.dim);
  return {product(dims.first(dim)), sharding.parts, product(dims.subspan(dim + 1)), place};
}

std::vector<ValueType> TakePart::infer(std::span<const ValueType> inputs) const {
  expect_count(type(), inputs, 1, 1);
  expect_dtype(type(), "x", inputs[0], DType::kF32);
  if (inputs[0].elements() != cut_.elements() || shape_.elements() != cut_.local_elements())
    fail("[take_part] expects x of {} elements and an output of {}, got {} and {}", cut_.elements(),
         cut_.local_elements(), inputs[0].str(), shape_.str());
  return {{shape_, DType::kF32}};
}

void TakePart::gradient(GradientBuilder& builder) const {
  const Shape x = builder.type(builder.input(0)).shape;
  const ValueId dy = builder.output_gradient(0);
  const bool in_order = cut_.outer == 1 && cut_.shares.size() == 1;
  const Shape gathered = in_order ? x : Shape{cut_.place.size, cut_.local_elements()};
  const auto gather = std::make_shared<AllGather>(cut_.place, gathered, GatherGradient::kNothing);
  if (in_order) return builder.emit("input", gather, {dy}, {0});
  const ValueId parts = builder.emit_intermediate("parts", gather, {dy})[0];
  builder.emit("input", std::make_shared<JoinParts>(cut_, x), {parts, dy}, {0});
}

Cost TakePart::cost(const NodeTypes& types) const { return copy_cost(types); }

std::vector<ValueType> JoinParts::infer(std::span<const ValueType> inputs) const {
  expect_count(type(), inputs, 2, 2);
  expect_type(type(), "parts", inputs[0],
              {Shape{cut_.place.size, cut_.local_elements()}, DType::kF32}, "one part a rank");
  if (inputs[1].elements() != cut_.local_elements() || shape_.elements() != cut_.elements())
    fail("[join_parts] expects x of {} elements and an output of {}, got {} and {}",
         cut_.local_elements(), cut_.elements(), inputs[1].str(), shape_.str());
  return {{shape_, DType::kF32}};
}

void JoinParts::gradient(GradientBuilder& builder) const {
  const Shape& x = builder.type(builder.input(1)).shape;
  builder.emit("input", std::make_shared<TakePart>(cut_, x), {builder.output_gradient(0)}, {1});
}

Cost JoinParts::cost(const NodeTypes& types) const { return copy_cost(types); }

}  // namespace trireme::core

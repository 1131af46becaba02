#include "core/ops/dropout.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/graph/differentiate.h"
#include "core/graph/local_builder.h"
#include "core/ops/expect.h"

namespace trireme::core {
namespace {

// Ten Philox rounds of about 8 operations make four draws.
constexpr int64_t kFlopsPerElement = 22;

}  // namespace

Dropout::Dropout(float probability, std::string stream, DropoutBox box)
    : probability_(probability), stream_(std::move(stream)), box_(box) {
  if (!(probability >= 0 && probability < 1))
    fail("[dropout] expects 0 <= p < 1, got {}", probability);
}

std::vector<ValueType> Dropout::infer(std::span<const ValueType> inputs) const {
  expect_count(type(), inputs, 1, 1);
  expect_dtype(type(), "x", inputs[0], DType::kF32);
  if (inputs[0].shape.rank() == 0) fail("[dropout] expects x (B, ...), got {}", inputs[0].str());
  return {inputs[0]};
}

void Dropout::gradient(GradientBuilder& builder) const {
  builder.emit("input", std::make_shared<Dropout>(probability_, stream_, box_),
               {builder.output_gradient(0)}, {0});
}

// A cut of the last dimension in one piece leaves runs of neighbours.
std::vector<ShardingRule> Dropout::shardings(const ShardingRequest& request) const {
  std::vector<ShardingRule> rules = elementwise_shardings(request);
  const int last = request.inputs[0].shape.rank() - 1;
  std::erase_if(rules, [&](const ShardingRule& rule) {
    const Sharding& x = rule.inputs[0];
    return x.is_split() && (x.dim != last || last == 0 || x.parts.size() > 1);
  });
  return rules;
}

OpPtr Dropout::local(const LocalBuilder& builder) const {
  const Sharding& sharding = builder.rule().inputs[0];
  if (sharding.kind == Sharding::Kind::kWhole) return nullptr;
  const Shape& x = builder.input_type(0).shape;
  DropoutBox box{.rows_per_sample = x.elements_per_row() / x[-1], .width = x[-1]};
  const auto [size, rank, group] = builder.place();
  if (sharding.is_split())
    box.first_column = part_ranges(sharding.parts, size, rank).front().first;
  else
    box.first_row = x.elements() / x[-1] / size * rank;
  return std::make_shared<Dropout>(probability_, stream_, box);
}

DropoutRows::DropoutRows(const Shape& x, const DropoutBox& from)
    : rows(x[0]), columns(x.elements_per_row()), box(from) {
  if (box.width == 0) {
    box.width = columns;
    return;
  }
  columns = x[-1];
  rows = x.elements() / std::max<int64_t>(columns, 1);
}

Cost Dropout::cost(const NodeTypes& types) const {
  const ValueType& x = types.inputs[0];
  return {.flops = kFlopsPerElement * x.elements(), .bytes = 2 * x.bytes()};
}

}  // namespace trireme::core

#include "core/ops/dropout.h"

#include "core/base/error.h"
#include "core/graph/differentiate.h"
#include "core/ops/expect.h"

namespace trireme::core {
namespace {

// Ten Philox rounds of about 8 operations make four draws.
constexpr int64_t kFlopsPerElement = 22;

}  // namespace

Dropout::Dropout(float probability, std::string stream)
    : probability_(probability), stream_(std::move(stream)) {
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
  builder.emit("input", std::make_shared<Dropout>(probability_, stream_),
               {builder.output_gradient(0)}, {0});
}

Cost Dropout::cost(const NodeTypes& types) const {
  const ValueType& x = types.inputs[0];
  return {.flops = kFlopsPerElement * x.elements(), .bytes = 2 * x.bytes()};
}

}  // namespace trireme::core

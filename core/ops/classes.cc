#include "core/ops/classes.h"

#include "core/base/error.h"
#include "core/ops/expect.h"

namespace trireme::core {

void expect_logits_and_labels(std::string_view op, std::span<const ValueType> inputs) {
  const ValueType& x = inputs[0];
  expect_dtype(op, "x", x, DType::kF32);
  if (x.shape.rank() == 0 || x.shape[-1] == 0)
    fail("[{}] expects x (rows..., C) with C at least 1, got {}", op, x.str());
  const ValueType labels{Shape(x.shape.dims().first(x.shape.rank() - 1)), DType::kI32};
  expect_type(op, "labels", inputs[1], labels, "one a row of x");
  expect_sample_weight(op, operand(inputs, 2), labels.elements());
}

ClassRows class_rows(const NodeTypes& types) {
  const int64_t rows = types.inputs[1].elements();
  const ValueType weight = operand(types.inputs, 2);
  return {rows, types.inputs[0].shape[-1], weight.present() ? rows / weight.elements() : 1};
}

}  // namespace trireme::core

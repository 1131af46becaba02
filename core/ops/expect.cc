#include "core/ops/expect.h"

#include "core/base/error.h"

namespace trireme::core {

ValueType operand(std::span<const ValueType> inputs, size_t i) {
  return i < inputs.size() ? inputs[i] : ValueType{};
}

void expect_count(std::string_view op, std::span<const ValueType> inputs, size_t least,
                  size_t most) {
  if (inputs.size() >= least && inputs.size() <= most) return;
  if (least == most) fail("[{}] expects {} inputs, got {}", op, least, inputs.size());
  fail("[{}] expects {} to {} inputs, got {}", op, least, most, inputs.size());
}

void expect_dtype(std::string_view op, std::string_view what, const ValueType& type, DType dtype) {
  if (type.dtype != dtype)
    fail("[{}] expects {} of dtype {}, got {}", op, what, name_of(dtype), type.str());
}

void expect_type(std::string_view op, std::string_view what, const ValueType& type,
                 const ValueType& wanted, std::string_view why) {
  if (type != wanted)
    fail("[{}] expects {} {}, {}, got {}", op, what, wanted.str(), why, type.str());
}

void expect_sample_weight(std::string_view op, const ValueType& weight, int64_t rows) {
  if (!weight.present()) return;
  expect_dtype(op, "weight", weight, DType::kF32);
  if (weight.shape.rank() != 1 || weight.elements() == 0 || rows % weight.elements() != 0)
    fail("[{}] expects weight (B), B dividing the {} rows, got {}", op, rows, weight.str());
}

void expect_divides(std::string_view op, std::string_view what, int64_t count, int size) {
  if (count % size != 0)
    fail("[{}] expects the tensor axis ({} ranks) to divide its {} {}; nearest: {}", op, size,
         count, what, nearest_that_divide(count, size, what));
}

}  // namespace trireme::core

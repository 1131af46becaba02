// What shape rules have in common: checks of operands with one way to complain.
#pragma once

#include <span>
#include <string_view>

#include "core/base/shape.h"
#include "core/graph/sharding.h"

namespace trireme::core {

// Operand i of `inputs`, or an absent one past the end.
ValueType operand(std::span<const ValueType> inputs, size_t i);

// Each throws InvalidArgument "[op] expects ..., got ...".
void expect_count(std::string_view op, std::span<const ValueType> inputs, size_t least,
                  size_t most);
void expect_dtype(std::string_view op, std::string_view what, const ValueType& type, DType dtype);
// `type` is exactly `wanted`; `why` says where that comes from ("as x has").
void expect_type(std::string_view op, std::string_view what, const ValueType& type,
                 const ValueType& wanted, std::string_view why);
// An absent weight, or f32 (B) with B dividing `rows`.
void expect_sample_weight(std::string_view op, const ValueType& weight, int64_t rows);

// The tensor axis divides what it cuts: `what` is the plural of it ("heads"). Names the nearest
// sizes that do.
void expect_divides(std::string_view op, std::string_view what, int64_t count, int size);

// The only type that sums have: their total, and the sum of their weights.
inline ValueType sums_type() { return {{2}, DType::kF64}; }

}  // namespace trireme::core

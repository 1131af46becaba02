// Sums of f64 terms without rounding: the same bits in whatever order, and wherever, terms are
// added.
//
// A sum is kExactLimbs numbers of 64 bits. Number i < kExactDigits counts units of
// 2^(32 i - 320); a term is cut into 32-bit digits and each is added to its number. Integer
// addition is associative, so sums of ranks are added limb by limb (ReduceOp::kSum of i64). Bits of
// a term below 2^-320 are dropped, term by term; terms that are not finite, or from 2^300 on, are
// counted in the last limb and make the sum NaN. Room for 2^30 terms.
// Source: Kulisch, Computer Arithmetic and Validity (2013): the long accumulator.
#pragma once

#include <cstdint>

namespace trireme::core {

constexpr int kExactDigits = 20;
constexpr int kExactLimbs = kExactDigits + 1;

// sum += term
void add_exactly(double term, int64_t* sum);

// The sum as the f64 next to it, give or take a unit in the last place: a function of the sum's
// value alone.
double exact_value(const int64_t* sum);

}  // namespace trireme::core

// In what precision a graph's matrix products multiply.
//
// Source: Micikevicius et al., Mixed Precision Training (2018): operands are rounded, sums are not;
// parameters are kept in f32 and rounded when they are used.
#pragma once

#include "core/graph/graph.h"

namespace trireme::core {

// From now on the products of a forward graph, and those that `differentiate` will append for them,
// multiply operands rounded to `operands`: kF32, kBF16 or kF16. All values stay f32.
void set_precision(Graph& forward, DType operands);

}  // namespace trireme::core

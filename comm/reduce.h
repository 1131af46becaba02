// Reductions of several ranks' buffers on one CPU thread, in rank order.
#pragma once

#include <span>

#include "core/base/dtype.h"
#include "core/runtime/transport.h"

namespace trireme::comm {

// out[i] = inputs[0][i] op inputs[1][i] op ... for i in [begin, begin + count)
//
//   inputs  one pointer a rank, each to at least begin + count elements
//   out     may be one of the inputs
//
// f16 and bf16 are accumulated in f32 and rounded once, to nearest even. Integers wrap. The order
// is the inputs' order, so every caller with the same inputs gets the same bits.
void reduce_in_order(std::span<const void* const> inputs, void* out, int64_t begin, int64_t count,
                     core::DType dtype, core::ReduceOp op);

float float_of_half(core::DType dtype, uint16_t bits);   // dtype is kF16 or kBF16
uint16_t half_of_float(core::DType dtype, float value);  // to nearest even

}  // namespace trireme::comm

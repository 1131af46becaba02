// CachedAttention against CausalAttention, on any device.
#pragma once

#include "tests/support/op_device.h"

namespace trireme::test {

// A sequence fed in pieces of several lengths gives what causal attention to the whole gives; the
// cache ends up with its keys and values and is not touched elsewhere; a sample whose positions do
// not fit gets NaN and leaves its cache alone.
void check_cached_attention(OpDevice& device);

}  // namespace trireme::test

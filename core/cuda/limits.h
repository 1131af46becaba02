// Extents that kernels count in 32 bits, checked when a kernel is made.
//
// (Kernel sources cannot include core/base/error.h: nvcc does not compile fmt.)
#pragma once

#include <cstdint>

namespace trireme::core {

// `extent` as an int. Throws InvalidArgument "[who] ..." if it is 2^31 or more.
int to_int32(const char* who, int64_t extent);

}  // namespace trireme::core

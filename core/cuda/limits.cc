#include "core/cuda/limits.h"

#include "core/base/error.h"

namespace trireme::core {

int to_int32(const char* who, int64_t extent) {
  if (extent < 0 || extent > INT32_MAX)
    fail("[{}] on a GPU expects extents below 2^31, got {}", who, extent);
  return static_cast<int>(extent);
}

}  // namespace trireme::core

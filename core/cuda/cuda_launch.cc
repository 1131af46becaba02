#include <cuda_runtime.h>

#include "core/base/error.h"

namespace trireme::core {

[[noreturn]] void throw_launch_failure(const void* kernel, dim3 grid, dim3 block,
                                       cudaError_t status) {
  const char* name = "a kernel";
  (void)cudaFuncGetName(&name, kernel);
  throw SystemError(fmt::format("[cuda] launch of {} on ({}, {}, {}) x ({}, {}, {}) threads: {}",
                                name, grid.x, grid.y, grid.z, block.x, block.y, block.z,
                                cudaGetErrorString(status)));
}

}  // namespace trireme::core

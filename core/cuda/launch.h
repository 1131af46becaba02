// The only place where a kernel is launched.
//
// Under nvcc `launch` is <<<>>> and a check. Compiled as plain C++ the same sources run on the
// CPU: cuda_emulator.h, found on the include path of the emulator's tests, defines the language
// of kernels (__global__, threadIdx, __syncthreads ...) and runs each thread as a fiber.
// Kernel sources include this header first and no header of CUDA's own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <source_location>

#include "core/base/error.h"
#include "core/runtime/stream.h"

#ifdef __CUDACC__
#include <cuda_runtime.h>
// A kernel's static shared memory: TRIREME_SHARED(float, tile, 32) is __shared__ float tile[32].
// The emulator's array of that name checks its indices.
#define TRIREME_SHARED(type, name, count) __shared__ type name[count]
#else
#include "cuda_emulator.h"
#endif

namespace trireme::core {

// The kernel and where it was launched from, which a failure reports.
template <typename... Parameters>
struct KernelRef {
  using Function = void (*)(Parameters...);
  Function function;
  std::source_location where;
};

// Puts kernel(args...) on `stream`, with `shared_bytes` of dynamic shared memory for each block.
// An empty grid does nothing. Throws SystemError if the launch is refused.
template <typename... Parameters, typename... Args>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes,
            Stream stream, Args... args) {
  static_assert(sizeof...(Parameters) == sizeof...(Args));
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
#ifdef __CUDACC__
  kernel<<<grid, block, shared_bytes, static_cast<cudaStream_t>(stream.handle)>>>(
      static_cast<Parameters>(args)...);
  if (const cudaError_t status = cudaGetLastError(); status != cudaSuccess)
    throw SystemError(fmt::format("[cuda] launch of ({}, {}, {}) x ({}, {}, {}) threads: {}",
                                  grid.x, grid.y, grid.z, block.x, block.y, block.z,
                                  cudaGetErrorString(status)));
#else
  (void)stream;
  emulator::run_grid(grid, block, shared_bytes, [&] { kernel(static_cast<Parameters>(args)...); });
#endif
}

template <typename... Parameters, typename... Args>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, Stream stream, Args... args) {
  launch(kernel, grid, block, size_t{0}, stream, args...);
}

}  // namespace trireme::core

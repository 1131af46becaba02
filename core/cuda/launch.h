// The only place where a kernel is launched.
//
// Under nvcc `launch` is <<<>>> and a check. Compiled as plain C++ the same sources run on the
// CPU: cuda_emulator.h, found on the include path of the emulator's tests, defines the language
// of kernels (__global__, threadIdx, __syncthreads ...) and runs each thread as a fiber.
// Kernel sources include this header first and no header of CUDA's own.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "core/runtime/stream.h"

#ifdef __CUDACC__
#include <cuda_runtime.h>
// TRIREME_SHARED(float, tile, 32) is __shared__ float tile[32]. The emulator's array of that name
// checks its indices, so take no pointer into it.
#define TRIREME_SHARED(type, name, count) __shared__ type name[count]
// The launch's dynamic shared memory, 16-byte aligned, as type* name.
#define TRIREME_DYNAMIC_SHARED(type, name)                         \
  extern __shared__ __align__(16) unsigned char trireme_shared_[]; \
  type* const name = reinterpret_cast<type*>(trireme_shared_)
// Before a loop that ptxas would unroll until registers spill.
#define TRIREME_NO_UNROLL _Pragma("unroll 1")
// Before a loop whose index picks registers, and before one to be unrolled eight times at most.
#define TRIREME_UNROLL _Pragma("unroll")
#define TRIREME_UNROLL_8 _Pragma("unroll 8")
#else
#include "cuda_emulator.h"
#define TRIREME_NO_UNROLL
#define TRIREME_UNROLL
#define TRIREME_UNROLL_8
#endif

namespace trireme::core {

#ifdef __CUDACC__
// Throws SystemError with the kernel's name. (nvcc cannot evaluate fmt's checked format strings,
// so messages are made in cuda_launch.cc.)
[[noreturn]] void throw_launch_failure(const void* kernel, dim3 grid, dim3 block,
                                       cudaError_t status);
#endif

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
    throw_launch_failure(reinterpret_cast<const void*>(kernel), grid, block, status);
#else
  (void)stream;
  emulator::run_grid(grid, block, shared_bytes, [&] { kernel(static_cast<Parameters>(args)...); });
#endif
}

template <typename... Parameters, typename... Args>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, Stream stream, Args... args) {
  launch(kernel, grid, block, size_t{0}, stream, args...);
}

// Blocks enough for one thread an item, but at most `most`: kernels stride over what is left. The
// bound is a constant, not the card's, so that sums over blocks come out alike on every card.
inline dim3 blocks_for(int64_t items, int threads, int64_t most = 4096) {
  return dim3(static_cast<unsigned>(std::min((items + threads - 1) / threads, most)));
}

}  // namespace trireme::core

// Checks of the CUDA runtime's status codes, and owners of its handles.
//
// `check` is for code that may throw, `check_noexcept` for destructors: it reports on stderr.
// cuBLASLt's and cuDNN's overloads lie in cublas_check.h and cudnn_check.h, so that a file that
// launches kernels need not read their headers.
#pragma once

#include <cuda_runtime_api.h>

#include <source_location>
#include <string>

#include "core/base/unique_handle.h"
#include "core/runtime/stream.h"

namespace trireme::core {

// Throws SystemError "[cuda] out of memory (cudaErrorMemoryAllocation) (file:line)".
void check(cudaError_t status, std::source_location where = std::source_location::current());
void check_noexcept(cudaError_t status,
                    std::source_location where = std::source_location::current()) noexcept;

// The one line that a destructor prints when a library refuses: "trireme: [cuda] ... (file:line)".
void report_failure(const char* library, const char* what, std::source_location where) noexcept;

inline void destroy_stream(cudaStream_t stream) noexcept {
  check_noexcept(cudaStreamDestroy(stream));
}
inline void destroy_event(cudaEvent_t event) noexcept { check_noexcept(cudaEventDestroy(event)); }

using CudaStream = UniqueHandle<cudaStream_t, destroy_stream>;
using CudaEvent = UniqueHandle<cudaEvent_t, destroy_event>;

// `flags` as cudaStreamCreateWithPriority takes them; never the legacy default stream's order.
CudaStream make_stream(int priority);
// An event for order alone: it keeps no time.
CudaEvent make_event();

inline cudaStream_t cuda(Stream stream) { return static_cast<cudaStream_t>(stream.handle); }

}  // namespace trireme::core

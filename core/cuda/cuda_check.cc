#include <cstdio>

#include "core/base/error.h"
#include "core/cuda/check.h"

namespace trireme::core {

void check(cudaError_t status, std::source_location where) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // a refusal that we report ourselves must not come back from the next call
  throw SystemError(
      fmt::format("[cuda] {} ({})", cudaGetErrorString(status), cudaGetErrorName(status)), where);
}

void check_noexcept(cudaError_t status, std::source_location where) noexcept {
  // At the process's end the driver may be gone before us: its memory and streams went with it.
  if (status == cudaSuccess || status == cudaErrorCudartUnloading) return;
  cudaGetLastError();
  report_failure("cuda", cudaGetErrorString(status), where);
}

void report_failure(const char* library, const char* what, std::source_location where) noexcept {
  std::fprintf(stderr, "trireme: [%s] while cleaning up: %s (%s:%u)\n", library, what,
               where.file_name(), static_cast<unsigned>(where.line()));
}

CudaStream make_stream(int priority) {
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithPriority(&stream, cudaStreamNonBlocking, priority));
  return CudaStream(stream);
}

CudaEvent make_event() {
  cudaEvent_t event = nullptr;
  check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
  return CudaEvent(event);
}

}  // namespace trireme::core

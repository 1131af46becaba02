#include <cuda_runtime_api.h>

#include "core/cuda/check.h"

namespace trireme::core {

void* allocate_device_table(int64_t bytes, const void* contents) {
  void* table = nullptr;
  check(cudaMalloc(&table, static_cast<size_t>(std::max<int64_t>(bytes, 1))));
  const cudaError_t status =
      contents == nullptr
          ? cudaMemset(table, 0, static_cast<size_t>(bytes))
          : cudaMemcpy(table, contents, static_cast<size_t>(bytes), cudaMemcpyHostToDevice);
  if (status != cudaSuccess) (void)cudaFree(table);
  check(status);
  // Streams of the device do not wait for the default stream.
  check(cudaDeviceSynchronize());
  return table;
}

void free_device_table(void* table) noexcept { check_noexcept(cudaFree(table)); }

}  // namespace trireme::core

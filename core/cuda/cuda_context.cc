#include "core/cuda/check.h"
#include "core/cuda/context.h"
#include "core/cuda/cublas_check.h"
#include "core/cuda/cudnn_check.h"

namespace trireme::core {

struct CudaContext::Libraries {
  CublasLt cublaslt;
  Cudnn cudnn;
};

CudaContext::CudaContext(int device) : device_(device), libraries_(std::make_unique<Libraries>()) {
  check(cudaSetDevice(device));
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, device));
  name_ = properties.name;
  compute_capability_ = 10 * properties.major + properties.minor;
  multiprocessors_ = properties.multiProcessorCount;
}

CudaContext::~CudaContext() = default;

cublasLtContext* CudaContext::cublaslt() {
  if (!libraries_->cublaslt) {
    cublasLtHandle_t handle = nullptr;
    check(cublasLtCreate(&handle));
    libraries_->cublaslt.reset(handle);
  }
  return libraries_->cublaslt.get();
}

cudnnContext* CudaContext::cudnn() {
  if (!libraries_->cudnn) {
    cudnnHandle_t handle = nullptr;
    check(cudnnCreate(&handle));
    libraries_->cudnn.reset(handle);
  }
  return libraries_->cudnn.get();
}

}  // namespace trireme::core

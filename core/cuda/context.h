// What the kernels of one GPU share: library handles and the device's properties.
//
// Owned by the CUDA Device; handed to kernels through KernelContext. cuDNN's handle is made when a
// kernel first asks for it (it loads tens of megabytes), which only constructors of kernels do.
// One thread at a time, like the device.
#pragma once

#include <memory>
#include <string>

struct cublasLtContext;
struct cudnnContext;

namespace trireme::core {

class CudaContext {
 public:
  // Makes `device` current on this thread. Throws SystemError in CUDA's own words.
  explicit CudaContext(int device);
  ~CudaContext();
  CudaContext(const CudaContext&) = delete;
  CudaContext& operator=(const CudaContext&) = delete;

  int device() const { return device_; }
  const std::string& name() const { return name_; }               // "NVIDIA H100 80GB HBM3"
  int compute_capability() const { return compute_capability_; }  // 90 for sm_90
  int multiprocessors() const { return multiprocessors_; }

  cublasLtContext* cublaslt();
  cudnnContext* cudnn();

 private:
  struct Libraries;

  int device_;
  std::string name_;
  int compute_capability_ = 0;
  int multiprocessors_ = 0;
  std::unique_ptr<Libraries> libraries_;
};

}  // namespace trireme::core

#include "core/cuda/no_cuda.h"

#include "core/ops/conv2d.h"
#include "core/ops/linear.h"
#include "core/runtime/device.h"

namespace trireme::core {

std::unique_ptr<Device> make_cuda_device(int) { throw_no_cuda("cuda"); }

int cuda_device_count() { return 0; }

std::unique_ptr<Kernel> Linear::cuda_kernel(const NodeTypes&, const KernelContext&) const {
  throw_no_cuda(type());
}

std::unique_ptr<Kernel> LinearGradInput::cuda_kernel(const NodeTypes&, const KernelContext&) const {
  throw_no_cuda(type());
}

std::unique_ptr<Kernel> LinearGradWeight::cuda_kernel(const NodeTypes&,
                                                      const KernelContext&) const {
  throw_no_cuda(type());
}

std::unique_ptr<Kernel> Conv2d::cuda_kernel(const NodeTypes&, const KernelContext&) const {
  throw_no_cuda(type());
}

std::unique_ptr<Kernel> Conv2dGradInput::cuda_kernel(const NodeTypes&, const KernelContext&) const {
  throw_no_cuda(type());
}

std::unique_ptr<Kernel> Conv2dGradWeight::cuda_kernel(const NodeTypes&,
                                                      const KernelContext&) const {
  throw_no_cuda(type());
}

}  // namespace trireme::core

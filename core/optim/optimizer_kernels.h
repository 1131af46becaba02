// The optimizer's kernels on each device, behind the make_* functions of optimizer.h.
//
// CPU: sgd_cpu.cc, adam_cpu.cc, average_cpu.cc, step_cpu.cc. CUDA: optimizer_cuda.cu;
// core/cuda/no_cuda.cc where there is none.
#pragma once

#include <memory>
#include <span>

#include "core/optim/optimizer.h"

namespace trireme::core {

// The ranges are sorted, disjoint and not empty: make_update_kernel has checked them.
std::unique_ptr<UpdateKernel> make_cpu_update_kernel(const SgdOptions& options,
                                                     std::span<const UpdateRange> ranges,
                                                     const KernelContext& context);
std::unique_ptr<UpdateKernel> make_cpu_update_kernel(const AdamOptions& options,
                                                     std::span<const UpdateRange> ranges,
                                                     const KernelContext& context);
// Of AverageKernel: UpdateArgs::parameters are the averages, its gradients the parameters.
std::unique_ptr<UpdateKernel> make_cpu_average_kernel(const AverageOptions& options,
                                                      std::span<const UpdateRange> ranges,
                                                      const KernelContext& context);
std::unique_ptr<NormKernel> make_cpu_norm_kernel(int64_t elements, const KernelContext& context);
std::unique_ptr<ControlKernel> make_cpu_control_kernel(const ControlOptions& options,
                                                       const KernelContext& context);

std::unique_ptr<UpdateKernel> make_cuda_update_kernel(const OptimizerOptions& options,
                                                      std::span<const UpdateRange> ranges,
                                                      const KernelContext& context);
std::unique_ptr<UpdateKernel> make_cuda_average_kernel(const AverageOptions& options,
                                                       std::span<const UpdateRange> ranges,
                                                       const KernelContext& context);
std::unique_ptr<NormKernel> make_cuda_norm_kernel(int64_t elements, const KernelContext& context);
std::unique_ptr<ControlKernel> make_cuda_control_kernel(const ControlOptions& options,
                                                        const KernelContext& context);

}  // namespace trireme::core

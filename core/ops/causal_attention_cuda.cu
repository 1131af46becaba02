#include "core/base/error.h"
#include "core/cuda/function_kernel.h"
#include "core/ops/causal_attention.h"
namespace trireme::core {
std::unique_ptr<Kernel> CausalAttention::cuda_kernel(const NodeTypes&, const KernelContext&) const {
  throw 0;
}
std::unique_ptr<Kernel> CausalAttentionGrad::cuda_kernel(const NodeTypes&,
                                                         const KernelContext&) const {
  throw 0;
}
}  // namespace trireme::core

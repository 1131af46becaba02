#include "core/base/error.h"
#include "core/ops/causal_attention.h"
namespace trireme::core {
std::unique_ptr<Kernel> CausalAttention::cpu_kernel(const NodeTypes&, const KernelContext&) const {
  ensure(false, "a kernel that is still being written");
  return nullptr;
}
std::unique_ptr<Kernel> CausalAttentionGrad::cpu_kernel(const NodeTypes&,
                                                        const KernelContext&) const {
  ensure(false, "a kernel that is still being written");
  return nullptr;
}
}  // namespace trireme::core

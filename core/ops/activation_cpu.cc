#include "core/cpu/activation_loops.h"
#include "core/cpu/parallel.h"
#include "core/ops/activation.h"
#include "core/ops/cpu_kernel.h"

namespace trireme::core {

std::unique_ptr<Kernel> Activation::cpu_kernel(const NodeTypes& types,
                                               const KernelContext& context) const {
  return make_kernel([kind = kind_, count = types.inputs[0].elements(),
                      threads = context.threads](const KernelArgs& args) {
    const float* x = args.in<float>(0);
    float* y = args.out<float>(0);
    parallel_for(threads, count, kElementwiseGrain, [&](int64_t begin, int64_t end) {
      activation_forward(kind, x + begin, y + begin, end - begin);
    });
  });
}

std::unique_ptr<Kernel> ActivationGrad::cpu_kernel(const NodeTypes& types,
                                                   const KernelContext& context) const {
  return make_kernel([kind = kind_, count = types.inputs[0].elements(),
                      threads = context.threads](const KernelArgs& args) {
    const float* dy = args.in<float>(0);
    const float* saved = args.in<float>(1);
    float* dx = args.out<float>(0);
    parallel_for(threads, count, kElementwiseGrain, [&](int64_t begin, int64_t end) {
      activation_backward(kind, dy + begin, saved + begin, dx + begin, end - begin);
    });
  });
}

}  // namespace trireme::core

#include "core/cpu/elementwise_loops.h"
#include "core/cpu/parallel.h"
#include "core/ops/cpu_kernel.h"
#include "core/ops/scale.h"

namespace trireme::core {

std::unique_ptr<Kernel> Scale::cpu_kernel(const NodeTypes& types,
                                          const KernelContext& context) const {
  return make_kernel([factor = factor_, count = types.inputs[0].elements(),
                      threads = context.threads](const KernelArgs& args) {
    const float* x = args.in<float>(0);
    float* y = args.out<float>(0);
    parallel_for(threads, count, kElementwiseGrain, [&](int64_t begin, int64_t end) {
      scale_array(factor, x + begin, y + begin, end - begin);
    });
  });
}

}  // namespace trireme::core

#include "core/cpu/elementwise_loops.h"
#include "core/cpu/parallel.h"
#include "core/ops/add.h"
#include "core/ops/cpu_kernel.h"

namespace trireme::core {

std::unique_ptr<Kernel> Add::cpu_kernel(const NodeTypes& types,
                                        const KernelContext& context) const {
  return make_kernel(
      [count = types.inputs[0].elements(), threads = context.threads](const KernelArgs& args) {
        const float* a = args.in<float>(0);
        const float* b = args.in<float>(1);
        float* y = args.out<float>(0);
        parallel_for(threads, count, kElementwiseGrain, [&](int64_t begin, int64_t end) {
          add_arrays(a + begin, b + begin, y + begin, end - begin);
        });
      });
}

}  // namespace trireme::core

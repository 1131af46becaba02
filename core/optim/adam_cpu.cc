#include "core/cpu/simd.h"
#include "core/kernels/optimizer.h"
#include "core/optim/optimizer_kernels.h"
#include "core/optim/range_table.h"

namespace trireme::core {
namespace {

TRIREME_SIMD void adam(AdamRule rule, float* p, const float* g, float* m, float* v, int64_t count) {
#pragma GCC ivdep  // the buffers are distinct
  for (int64_t i = 0; i < count; ++i) p[i] = adam_element(rule, p[i], g[i], m[i], v[i]);
}

class AdamKernel : public UpdateKernel {
 public:
  AdamKernel(const AdamOptions& options, std::span<const UpdateRange> ranges, int threads)
      : options_(options), table_(ranges), threads_(threads) {}

  void run(const UpdateArgs& args) override {
    if (!args.step->apply) return;
    table_.for_each(threads_, [&](const UpdateRange& range, int64_t begin, int64_t end) {
      const int64_t moment = begin + range.moment_shift;
      adam(make_adam_rule(options_, range, *args.step), args.parameters + begin,
           args.gradients + begin + range.gradient_shift, args.moment1 + moment,
           args.moment2 + moment, end - begin);
    });
  }

 private:
  AdamOptions options_;
  RangeTable table_;
  int threads_;
};

}  // namespace

std::unique_ptr<UpdateKernel> make_cpu_update_kernel(const AdamOptions& options,
                                                     std::span<const UpdateRange> ranges,
                                                     const KernelContext& context) {
  return std::make_unique<AdamKernel>(options, ranges, context.threads);
}

}  // namespace trireme::core

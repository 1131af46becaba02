#include "core/cpu/simd.h"
#include "core/kernels/optimizer.h"
#include "core/optim/optimizer_kernels.h"
#include "core/optim/range_table.h"

namespace trireme::core {
namespace {

TRIREME_SIMD void plain_sgd(SgdRule rule, float* p, const float* g, int64_t count) {
#pragma GCC ivdep  // the buffers are distinct
  for (int64_t i = 0; i < count; ++i) p[i] = sgd_element(rule, p[i], g[i]);
}

TRIREME_SIMD void momentum_sgd(SgdRule rule, bool nesterov, float* p, const float* g, float* m,
                               int64_t count) {
#pragma GCC ivdep
  for (int64_t i = 0; i < count; ++i) p[i] = sgd_momentum_element(rule, nesterov, p[i], g[i], m[i]);
}

class SgdKernel : public UpdateKernel {
 public:
  SgdKernel(const SgdOptions& options, std::span<const UpdateRange> ranges, int threads)
      : options_(options), table_(ranges), threads_(threads) {}

  void run(const UpdateArgs& args) override {
    if (!args.step->apply) return;
    table_.for_each(threads_, [&](const UpdateRange& range, int64_t begin, int64_t end) {
      const SgdRule rule = make_sgd_rule(options_, range, *args.step);
      float* p = args.parameters + begin;
      const float* g = args.gradients + begin + range.gradient_shift;
      if (options_.momentum == 0)
        plain_sgd(rule, p, g, end - begin);
      else
        momentum_sgd(rule, options_.nesterov, p, g, args.moment1 + begin + range.moment_shift,
                     end - begin);
    });
  }

 private:
  SgdOptions options_;
  RangeTable table_;
  int threads_;
};

}  // namespace

std::unique_ptr<UpdateKernel> make_cpu_update_kernel(const SgdOptions& options,
                                                     std::span<const UpdateRange> ranges,
                                                     const KernelContext& context) {
  return std::make_unique<SgdKernel>(options, ranges, context.threads);
}

}  // namespace trireme::core

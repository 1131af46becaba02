#include "core/cpu/simd.h"
#include "core/kernels/optimizer.h"
#include "core/optim/optimizer_kernels.h"
#include "core/optim/range_table.h"

namespace trireme::core {
namespace {

TRIREME_SIMD void average(float weight, float* averages, const float* p, int64_t count) {
#pragma GCC ivdep  // the buffers are distinct
  for (int64_t i = 0; i < count; ++i) averages[i] = average_element(weight, averages[i], p[i]);
}

class CpuAverageKernel : public UpdateKernel {
 public:
  CpuAverageKernel(const AverageOptions& options, std::span<const UpdateRange> ranges, int threads)
      : options_(options), table_(ranges), threads_(threads) {}

  void run(const UpdateArgs& args) override {
    if (!args.step->apply) return;
    const float weight = average_weight(options_, *args.step);
    table_.for_each(threads_, [&](const UpdateRange& range, int64_t begin, int64_t end) {
      average(weight, args.parameters + begin, args.gradients + begin + range.gradient_shift,
              end - begin);
    });
  }

 private:
  AverageOptions options_;
  RangeTable table_;
  int threads_;
};

}  // namespace

std::unique_ptr<UpdateKernel> make_cpu_average_kernel(const AverageOptions& options,
                                                      std::span<const UpdateRange> ranges,
                                                      const KernelContext& context) {
  return std::make_unique<CpuAverageKernel>(options, ranges, context.threads);
}

}  // namespace trireme::core

// The gradients' norm and the step's control decision on the CPU.
#include <algorithm>
#include <vector>

#include "core/cpu/elementwise_loops.h"
#include "core/cpu/parallel.h"
#include "core/kernels/optimizer.h"
#include "core/optim/optimizer_kernels.h"

namespace trireme::core {
namespace {

class CpuNormKernel : public NormKernel {
 public:
  CpuNormKernel(int64_t elements, int threads)
      : elements_(elements), threads_(threads), blocks_((elements + kNormBlock - 1) / kNormBlock) {}

  void run(const float* gradients, double* sum_of_squares, bool accumulate, Stream) override {
    const auto count = static_cast<int64_t>(blocks_.size());
    parallel_for(threads_, count, 4, [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b)
        blocks_[b] = core::sum_of_squares(gradients + b * kNormBlock,
                                          std::min(kNormBlock, elements_ - b * kNormBlock));
    });
    double sum = accumulate ? *sum_of_squares : 0;
    for (double block : blocks_) sum += block;
    *sum_of_squares = sum;
  }

 private:
  int64_t elements_;
  int threads_;
  std::vector<double> blocks_;
};

class CpuControlKernel : public ControlKernel {
 public:
  explicit CpuControlKernel(const ControlOptions& options) : options_(options) {}
  void run(const double* control, const double* sum_of_squares, StepState* step, Stream) override {
    control_step(options_, control, *sum_of_squares, step);
  }

 private:
  ControlOptions options_;
};

}  // namespace

std::unique_ptr<NormKernel> make_cpu_norm_kernel(int64_t elements, const KernelContext& context) {
  return std::make_unique<CpuNormKernel>(elements, context.threads);
}

std::unique_ptr<ControlKernel> make_cpu_control_kernel(const ControlOptions& options,
                                                       const KernelContext&) {
  return std::make_unique<CpuControlKernel>(options);
}

}  // namespace trireme::core

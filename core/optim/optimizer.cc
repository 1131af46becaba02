#include "core/optim/optimizer.h"

#include "core/base/error.h"
#include "core/optim/optimizer_kernels.h"

namespace trireme::core {
namespace {

// The ranges that are not empty. Throws InvalidArgument unless they are sorted and disjoint.
std::vector<UpdateRange> checked(std::span<const UpdateRange> ranges) {
  std::vector<UpdateRange> kept;
  int64_t end = 0;
  for (const UpdateRange& range : ranges) {
    if (range.begin < end || range.end < range.begin)
      fail("[optimizer] expects sorted, disjoint ranges, got [{}, {}) after one that ends at {}",
           range.begin, range.end, end);
    end = range.end;
    if (range.begin < range.end) kept.push_back(range);
  }
  return kept;
}

// A kernel for each range.
class NormOfRanges : public NormKernel {
 public:
  NormOfRanges(DeviceKind device, std::span<const ElementRange> ranges,
               const KernelContext& context) {
    for (const ElementRange& range : ranges)
      parts_.push_back({range.begin, make_norm_kernel(device, range.end - range.begin, context)});
    if (parts_.empty()) parts_.push_back({0, make_norm_kernel(device, int64_t{0}, context)});
  }

  void run(const float* gradients, double* sum_of_squares, bool accumulate,
           Stream stream) override {
    for (const Part& part : parts_) {
      part.kernel->run(gradients + part.begin, sum_of_squares, accumulate, stream);
      accumulate = true;
    }
  }

 private:
  struct Part {
    int64_t begin;
    std::unique_ptr<NormKernel> kernel;
  };
  std::vector<Part> parts_;
};

}  // namespace

int moment_count(const OptimizerOptions& options) {
  if (const auto* sgd = std::get_if<SgdOptions>(&options)) return sgd->momentum == 0 ? 0 : 1;
  return 2;
}

float weight_decay(const OptimizerOptions& options) {
  return std::visit([](const auto& o) { return o.weight_decay; }, options);
}

std::unique_ptr<UpdateKernel> make_update_kernel(DeviceKind device, const OptimizerOptions& options,
                                                 std::span<const UpdateRange> ranges,
                                                 const KernelContext& context) {
  const std::vector<UpdateRange> kept = checked(ranges);
  if (device == DeviceKind::kCuda) return make_cuda_update_kernel(options, kept, context);
  return std::visit([&](const auto& o) { return make_cpu_update_kernel(o, kept, context); },
                    options);
}

AverageKernel::AverageKernel(DeviceKind device, const AverageOptions& options,
                             std::span<const UpdateRange> ranges, const KernelContext& context) {
  std::vector<UpdateRange> averaged = checked(ranges);
  for (UpdateRange& range : averaged) {
    range.begin += range.moment_shift;
    range.end += range.moment_shift;
    range.gradient_shift = -range.moment_shift;
  }
  update_ = device == DeviceKind::kCuda ? make_cuda_average_kernel(options, averaged, context)
                                        : make_cpu_average_kernel(options, averaged, context);
}

void AverageKernel::run(const float* parameters, float* averages, const StepState* step,
                        Stream stream) const {
  update_->run({.parameters = averages, .gradients = parameters, .step = step, .stream = stream});
}

std::unique_ptr<NormKernel> make_norm_kernel(DeviceKind device, int64_t elements,
                                             const KernelContext& context) {
  return device == DeviceKind::kCuda ? make_cuda_norm_kernel(elements, context)
                                     : make_cpu_norm_kernel(elements, context);
}

std::unique_ptr<NormKernel> make_norm_kernel(DeviceKind device,
                                             std::span<const ElementRange> ranges,
                                             const KernelContext& context) {
  return std::make_unique<NormOfRanges>(device, ranges, context);
}

std::unique_ptr<ControlKernel> make_control_kernel(DeviceKind device, const ControlOptions& options,
                                                   const KernelContext& context) {
  return device == DeviceKind::kCuda ? make_cuda_control_kernel(options, context)
                                     : make_cpu_control_kernel(options, context);
}

}  // namespace trireme::core

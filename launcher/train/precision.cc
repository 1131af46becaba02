#include "launcher/train/precision.h"

#include "core/base/error.h"
#include "core/cpu/half_products.h"

namespace trireme::launcher {
namespace {

const char* name_of(Precision precision) { return precision == Precision::kBf16 ? "BF16" : "FP16"; }

}  // namespace

core::DType operands_of(Precision precision) {
  switch (precision) {
    case Precision::kFp32:
      return core::DType::kF32;
    case Precision::kBf16:
      return core::DType::kBF16;
    case Precision::kFp16:
      return core::DType::kF16;
  }
  return core::DType::kF32;
}

void check_precision(const JobOptions& job, core::DeviceKind device) {
  if (device != core::DeviceKind::kCpu) return;
  const std::string why = core::no_cpu_products(operands_of(job.train.precision));
  if (!why.empty())
    fail("{}: train.precision ({}) cannot be had on this CPU: {}; set it to FP32, or use a GPU",
         job.places.of("train.precision"), name_of(job.train.precision), why);
}

}  // namespace trireme::launcher

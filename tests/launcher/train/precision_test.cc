// What train.precision asks of a device.
#include "launcher/train/precision.h"

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/cpu/onednn.h"

namespace trireme::launcher {
namespace {

std::string refusal(Precision precision, core::DeviceKind device) {
  JobOptions job;
  job.train.precision = precision;
  try {
    check_precision(job, device);
  } catch (const InvalidArgument& error) {
    EXPECT_EQ(error.code(), ExitCode::kUsage);
    return error.what();
  }
  return "";
}

TEST(Precision, GpusHaveAll) {
  for (auto precision : {Precision::kFp32, Precision::kBf16, Precision::kFp16})
    EXPECT_EQ(refusal(precision, core::DeviceKind::kCuda), "");
}

TEST(Precision, ARefusalSaysWhatTheCpuHasAndTheFix) {
  const auto cpu = core::DeviceKind::kCpu;
  EXPECT_EQ(refusal(Precision::kFp32, cpu), "");
  const std::string fp16 = refusal(Precision::kFp16, cpu);
  EXPECT_TRUE(
      fp16.ends_with("train.precision (FP16) cannot be had on this CPU: f16 is for GPUs; "
                     "set it to FP32, or use a GPU"))
      << fp16;
  const std::string bf16 = refusal(Precision::kBf16, cpu);
  EXPECT_EQ(bf16.empty(), core::onednn::multiplies_bf16());
  if (bf16.empty()) return;
  EXPECT_NE(bf16.find("train.precision (BF16) cannot be had on this CPU: bf16 needs AVX512-BF16 or "
                      "AMX, and this CPU has "),
            std::string::npos)
      << bf16;
  EXPECT_TRUE(bf16.ends_with("; set it to FP32, or use a GPU")) << bf16;
  EXPECT_EQ(bf16.find('\n'), std::string::npos);
}

}  // namespace
}  // namespace trireme::launcher

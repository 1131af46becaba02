// What tests on a GPU share: a fixture that skips, saying why, where there is none, and the GPU as
// a device of op_check.h.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>

#include "core/runtime/device.h"
#include "tests/support/op_device.h"

namespace trireme::test {

// Why there is no GPU to test on, in the library's own line; "" if there is one.
inline std::string why_no_gpu() {
  if (core::cuda_device_count() > 0) return "";
  try {
    core::make_cuda_device(0);
  } catch (const std::exception& error) {
    return error.what();
  }
  return "a device was made though none was counted";
}

class CudaTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string reason = why_no_gpu(); !reason.empty())
      GTEST_SKIP() << "needs a GPU: " << reason;
    device_ = core::make_cuda_device(0);
  }

  core::Device& device() { return *device_; }

 private:
  std::unique_ptr<core::Device> device_;
};

// The GPU of `device`, which outlives it.
class CudaOpDevice : public OpDevice {
 public:
  explicit CudaOpDevice(core::Device& device) : device_(device) {}

  core::DeviceKind kind() const override { return core::DeviceKind::kCuda; }
  std::unique_ptr<core::Kernel> make_kernel(const core::Op& op, const core::NodeTypes& types,
                                            core::KernelContext context) override {
    context.cuda = device_.kernel_context().cuda;
    return op.cuda_kernel(types, context);
  }
  core::Stream stream() override { return device_.stream(core::StreamRole::kCompute); }
  void synchronize() override { device_.synchronize(stream()); }

  void* allocate(int64_t bytes) override {
    core::Buffer buffer(device_, bytes);
    void* memory = buffer.data();
    buffers_.emplace(memory, std::move(buffer));
    return memory;
  }
  void free(void* memory) override { buffers_.erase(memory); }
  void copy_in(void* device, const void* host, int64_t bytes) override {
    device_.copy_in(device, host, bytes, stream());
    synchronize();
  }
  void copy_out(void* host, const void* device, int64_t bytes) override {
    device_.copy_out(host, device, bytes, stream());
    synchronize();
  }

 private:
  core::Device& device_;
  std::map<void*, core::Buffer> buffers_;
};

}  // namespace trireme::test

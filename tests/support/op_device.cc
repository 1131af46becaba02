#include "tests/support/op_device.h"

#include <algorithm>
#include <cstring>
#include <new>

namespace trireme::test {
namespace {

constexpr std::align_val_t kAlignment{256};
constexpr std::byte kFill{0xFF};

class CpuOpDevice : public OpDevice {
 public:
  CpuOpDevice(int threads, core::HalfProducts half) : threads_(threads), half_(half) {}
  core::DeviceKind kind() const override { return core::DeviceKind::kCpu; }
  std::unique_ptr<core::Kernel> make_kernel(const core::Op& op, const core::NodeTypes& types,
                                            core::KernelContext context) override {
    context.threads = threads_;
    context.half = half_;
    return op.cpu_kernel(types, context);
  }

 private:
  int threads_;
  core::HalfProducts half_;
};

}  // namespace

void* OpDevice::allocate(int64_t bytes) {
  return ::operator new(static_cast<size_t>(bytes), kAlignment);
}
void OpDevice::free(void* memory) { ::operator delete(memory, kAlignment); }
void OpDevice::copy_in(void* device, const void* host, int64_t bytes) {
  std::memcpy(device, host, static_cast<size_t>(bytes));
}
void OpDevice::copy_out(void* host, const void* device, int64_t bytes) {
  std::memcpy(host, device, static_cast<size_t>(bytes));
}

std::unique_ptr<OpDevice> make_cpu_op_device(int threads, core::HalfProducts half) {
  return std::make_unique<CpuOpDevice>(threads, half);
}

GuardedMemory::GuardedMemory(OpDevice& device, int64_t bytes)
    : device_(device),
      bytes_(bytes),
      base_(static_cast<std::byte*>(device.allocate(bytes + 2 * kGuard))) {
  const std::vector<std::byte> fill(static_cast<size_t>(bytes + 2 * kGuard), kFill);
  device_.copy_in(base_, fill.data(), bytes + 2 * kGuard);
}

GuardedMemory::~GuardedMemory() { device_.free(base_); }

void GuardedMemory::write(const std::vector<std::byte>& bytes) {
  device_.copy_in(data(), bytes.data(), static_cast<int64_t>(bytes.size()));
}

std::vector<std::byte> GuardedMemory::read() const {
  std::vector<std::byte> bytes(static_cast<size_t>(bytes_));
  device_.copy_out(bytes.data(), data(), bytes_);
  return bytes;
}

bool GuardedMemory::guards_intact() const {
  std::vector<std::byte> zone(kGuard);
  const auto intact = [&](const std::byte* at) {
    device_.copy_out(zone.data(), at, kGuard);
    return std::ranges::all_of(zone, [](std::byte b) { return b == kFill; });
  };
  return intact(base_) && intact(base_ + kGuard + bytes_);
}

}  // namespace trireme::test

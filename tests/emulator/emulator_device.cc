#include "emulator_device.h"

#include <cstring>

#include "core/cuda/device_array.h"

namespace trireme::core {

// Device memory of the emulator is the host's, of the exact size, so that AddressSanitizer sees
// its ends.
void* allocate_device_table(int64_t bytes, const void* contents) {
  auto* table = new std::byte[static_cast<size_t>(bytes)]();
  if (contents != nullptr) std::memcpy(table, contents, static_cast<size_t>(bytes));
  return table;
}

void free_device_table(void* table) noexcept { delete[] static_cast<std::byte*>(table); }

}  // namespace trireme::core

namespace trireme::test {
namespace {

class EmulatorDevice : public OpDevice {
 public:
  EmulatorDevice(emulator::Schedule schedule, int64_t shift) : schedule_(schedule), shift_(shift) {}

  core::DeviceKind kind() const override { return core::DeviceKind::kCuda; }
  std::unique_ptr<core::Kernel> make_kernel(const core::Op& op, const core::NodeTypes& types,
                                            core::KernelContext context) override {
    emulator::set_schedule(schedule_);
    return op.cuda_kernel(types, context);
  }
  void* allocate(int64_t bytes) override {
    return static_cast<std::byte*>(OpDevice::allocate(bytes + shift_)) + shift_;
  }
  void free(void* memory) override { OpDevice::free(static_cast<std::byte*>(memory) - shift_); }

 private:
  emulator::Schedule schedule_;
  int64_t shift_;
};

}  // namespace

std::vector<emulator::Schedule> all_schedules() {
  using enum emulator::Schedule::Order;
  return {{kForward, 0}, {kBackward, 0}, {kRandom, 1}, {kRandom, 2}};
}

std::unique_ptr<OpDevice> make_emulator_device(emulator::Schedule schedule, bool misaligned) {
  return std::make_unique<EmulatorDevice>(schedule, misaligned ? 8 : 0);
}

}  // namespace trireme::test

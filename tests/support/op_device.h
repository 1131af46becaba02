// Where an op under test runs: makes its kernel and owns the memory it works on.
//
// The CPU, the CUDA emulator and a GPU each are one; a test case knows none of them.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "core/graph/op.h"

namespace trireme::test {

class OpDevice {
 public:
  virtual ~OpDevice() = default;
  virtual core::DeviceKind kind() const = 0;
  // Fills in what the device alone knows of the context (threads, CUDA's handles).
  virtual std::unique_ptr<core::Kernel> make_kernel(const core::Op& op,
                                                    const core::NodeTypes& types,
                                                    core::KernelContext context) = 0;
  virtual core::Stream stream() { return {.handle = nullptr, .device = kind()}; }
  virtual void synchronize() {}

  // Memory aligned to 256 bytes. The defaults are the host's own.
  virtual void* allocate(int64_t bytes);
  virtual void free(void* memory);
  virtual void copy_in(void* device, const void* host, int64_t bytes);
  virtual void copy_out(void* host, const void* device, int64_t bytes);
};

std::unique_ptr<OpDevice> make_cpu_op_device(int threads,
                                             core::HalfProducts half = core::HalfProducts::kNative);

// Device memory between two guard zones, filled with 0xFF: a kernel that reads what nobody wrote
// reads NaN, and one that writes past an end is found out. Exactly `bytes` may be touched.
class GuardedMemory {
 public:
  GuardedMemory(OpDevice& device, int64_t bytes);
  ~GuardedMemory();
  GuardedMemory(const GuardedMemory&) = delete;
  GuardedMemory& operator=(const GuardedMemory&) = delete;

  void* data() const { return base_ + kGuard; }
  void write(const std::vector<std::byte>& bytes);
  std::vector<std::byte> read() const;
  bool guards_intact() const;

 private:
  static constexpr int64_t kGuard = 1024;
  OpDevice& device_;
  int64_t bytes_;
  std::byte* base_;
};

}  // namespace trireme::test

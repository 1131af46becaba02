// Streams, seen from outside: an ordered queue of work on one device.
//
// On a CUDA device a Stream is a cudaStream_t. On the CPU the compute stream is the calling thread
// itself (work is done when the call returns) and a comm stream is a counter that the transport's
// engine advances. A Stream is a view: it never owns what it names.
#pragma once

#include <atomic>
#include <cstdint>

namespace trireme::core {

enum class DeviceKind : uint8_t { kCpu, kCuda };

// The CPU's comm stream: work numbered 1, 2, ... in order of submission. Owned by the runtime.
struct CpuStream {
  int64_t submitted = 0;              // touched by the submitting thread only
  std::atomic<int64_t> completed{0};  // advanced by the engine, in order
};

struct Stream {
  void* handle = nullptr;
  DeviceKind device = DeviceKind::kCpu;

  // Null on the CPU's compute stream: calls given it finish before they return.
  CpuStream* cpu() const {
    return device == DeviceKind::kCpu ? static_cast<CpuStream*>(handle) : nullptr;
  }
  bool operator==(const Stream&) const = default;
};

}  // namespace trireme::core

// Streams, seen from outside: an ordered queue of work on one device.
//
// On a CUDA device a Stream is a cudaStream_t. On the CPU the compute stream is the calling thread
// itself (work is done when the call returns) and a comm stream is a counter that the transport's
// engine advances. A Stream is a view: it never owns what it names.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <limits>

namespace trireme::core {

enum class DeviceKind : uint8_t { kCpu, kCuda };

// Whoever advances CPU streams. A blocked host says so: the engine polls hard while somebody
// waits, and leaves the cores to compute while nobody does.
class StreamEngine {
 public:
  virtual void host_waits() noexcept = 0;
  virtual void host_goes_on() noexcept = 0;

 protected:
  ~StreamEngine() = default;
};

// The CPU's comm stream: work numbered 1, 2, ... in order of submission. Owned by the runtime, and
// outlives the work put on it.
struct CpuStream {
  static constexpr int64_t kFailed = std::numeric_limits<int64_t>::max();

  int64_t submitted = 0;              // touched by the submitting thread only
  std::atomic<int64_t> completed{0};  // advanced by the engine, in order; kFailed after a failure
  StreamEngine* engine = nullptr;     // who advances it; set by the submitting thread
  std::exception_ptr error;           // why; written before `completed` becomes kFailed

  // Nanoseconds in which work was under way, of each call from its start to its end, and in which
  // a host waited for it. Both count the time until other ranks come to a call.
  std::atomic<int64_t> busy_ns{0};  // added by the engine before it advances `completed`
  std::atomic<int64_t> waited_ns{0};
};

// Blocks the host until work number `ticket` of the stream is done (`submitted`: all of it).
// Rethrows the transport's failure.
void wait_for(CpuStream& stream, int64_t ticket);

struct Stream {
  void* handle = nullptr;
  DeviceKind device = DeviceKind::kCpu;

  // Null on the CPU's compute stream: calls given it finish before they return.
  CpuStream* cpu() const {
    return device == DeviceKind::kCpu ? static_cast<CpuStream*>(handle) : nullptr;
  }
  bool operator==(const Stream&) const = default;
};

inline Stream stream_of(CpuStream& stream) { return {&stream, DeviceKind::kCpu}; }

}  // namespace trireme::core

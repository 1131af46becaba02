#include "core/runtime/stream.h"

#include <chrono>
#include <thread>

namespace trireme::core {
namespace {

using Clock = std::chrono::steady_clock;

// Long enough to catch an engine that is about to finish, short enough to leave it the core when
// the two share one.
constexpr int kYields = 64;

class HostWaits {
 public:
  explicit HostWaits(StreamEngine* engine) : engine_(engine) {
    if (engine_ != nullptr) engine_->host_waits();
  }
  ~HostWaits() {
    if (engine_ != nullptr) engine_->host_goes_on();
  }
  HostWaits(const HostWaits&) = delete;
  HostWaits& operator=(const HostWaits&) = delete;

 private:
  StreamEngine* engine_;
};

int64_t block_until(CpuStream& stream, int64_t ticket) {
  const HostWaits waits(stream.engine);
  const Clock::time_point begin = Clock::now();
  int64_t done = stream.completed.load(std::memory_order_acquire);
  for (int i = 0; done < ticket && i < kYields; ++i) {
    std::this_thread::yield();
    done = stream.completed.load(std::memory_order_acquire);
  }
  while (done < ticket) {
    stream.completed.wait(done, std::memory_order_acquire);
    done = stream.completed.load(std::memory_order_acquire);
  }
  stream.waited_ns.fetch_add(std::chrono::nanoseconds(Clock::now() - begin).count(),
                             std::memory_order_relaxed);
  return done;
}

}  // namespace

void wait_for(CpuStream& stream, int64_t ticket) {
  int64_t done = stream.completed.load(std::memory_order_acquire);
  if (done < ticket) done = block_until(stream, ticket);
  if (done == CpuStream::kFailed) std::rethrow_exception(stream.error);
}

}  // namespace trireme::core

// The simulator's overlap against a clock: a transport that takes latency + bytes / bandwidth for
// each call, on a thread of its own, under the streams that programs use.
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "core/sim/device_model.h"
#include "core/sim/simulator.h"

namespace trireme::core {
namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

class SlowTransport final : public Transport, public StreamEngine {
 public:
  explicit SlowTransport(const LinkModel& link) : link_(link), thread_([this] { loop(); }) {}
  ~SlowTransport() {
    {
      const std::scoped_lock lock(mutex_);
      stop_ = true;
    }
    bell_.notify_one();
    thread_.join();
  }

  void enqueue(const CollectiveCall& call, Stream stream) override {
    CpuStream& cpu = *stream.cpu();
    cpu.engine = this;
    ++cpu.submitted;
    const std::scoped_lock lock(mutex_);
    queue_.push_back({&cpu, call.count * size_of(call.dtype)});
    bell_.notify_one();
  }
  void host_waits() noexcept override {}
  void host_goes_on() noexcept override {}

 private:
  struct Call {
    CpuStream* stream;
    int64_t bytes;
  };

  void loop() {
    std::unique_lock lock(mutex_);
    while (true) {
      bell_.wait(lock, [&] { return stop_ || !queue_.empty(); });
      if (queue_.empty()) return;
      const Call call = queue_.front();
      queue_.pop_front();
      lock.unlock();
      std::this_thread::sleep_for(Seconds(link_.latency_seconds + static_cast<double>(call.bytes) /
                                                                      link_.bytes_per_second));
      ++call.stream->completed;
      call.stream->completed.notify_all();
      lock.lock();
    }
  }

  LinkModel link_;
  std::mutex mutex_;
  std::condition_variable bell_;
  std::deque<Call> queue_;
  bool stop_ = false;
  std::thread thread_;
};

// Backward of so many buckets, each computed in `compute` seconds.
struct Backward {
  int buckets = 4;
  double compute = 0;
  int64_t bytes = 0;
};

// Seconds that the host waits for transfers at the end.
double measured_exposure(const Backward& backward, const LinkModel& link) {
  SlowTransport transport(link);
  CpuStream stream;
  for (int i = 0; i < backward.buckets; ++i) {
    std::this_thread::sleep_for(Seconds(backward.compute));
    transport.enqueue({.dtype = DType::kU8, .count = backward.bytes}, stream_of(stream));
  }
  const Clock::time_point begin = Clock::now();
  wait_for(stream, stream.submitted);
  return Seconds(Clock::now() - begin).count();
}

SimRankTimes simulated(const Backward& backward, const LinkModel& link) {
  DeviceModel device;
  device.inside = link;
  SimWorld world{.ranks = {{}}, .groups = {{0}}};
  for (int i = 0; i < backward.buckets; ++i) {
    world.ranks[0].push_back({.seconds = backward.compute});
    world.ranks[0].push_back(
        {.kind = SimTask::Kind::kCollective,
         .stream = 1,
         .waits = stream_bit(0),
         .group = 0,
         .seconds = transfer_seconds(device, CollectiveKind::kBroadcast, backward.bytes, {2, 1})});
  }
  world.ranks[0].push_back({.waits = stream_bit(1)});
  return simulate(world).ranks[0];
}

TEST(Overlap, IsThatOfATransportWithThisLatencyAndBandwidth) {
  const LinkModel link{.latency_seconds = 2e-3, .bytes_per_second = 1e6};
  // Transfers shorter than computing (all but the last hide), about as long, and longer.
  for (const Backward& backward :
       {Backward{4, 20e-3, 8000}, Backward{4, 10e-3, 9000}, Backward{4, 6e-3, 18000}}) {
    const SimRankTimes times = simulated(backward, link);
    double measured = 0;
    // A machine that is busy with other things makes single tries late; never all of them.
    for (int tries = 0; tries < 10; ++tries) {
      measured = measured_exposure(backward, link);
      if (std::abs(measured - times.exposed) < 0.15 * times.exposed) break;
    }
    EXPECT_NEAR(measured, times.exposed, 0.15 * times.exposed) << backward.bytes;
    EXPECT_NEAR(1 - measured / times.communication, times.overlap(), 0.1);
  }
}

}  // namespace
}  // namespace trireme::core

// The comm thread: runs the calls put on CPU streams, as state machines that it polls.
//
// One engine a process (one per rank where ranks are threads). Each stream has a queue of fixed
// capacity; the call at its head is polled until it is done, so streams progress independently and
// nothing ever blocks. While calls are under way and nobody waits, the thread sleeps between polls
// to leave the core to compute; while the host waits for one, it polls hard; while there is nothing
// to do it sleeps. Nothing is allocated per call.
//
// The first failure is kept: every queued call is dropped, every stream with work fails, and every
// later call throws it.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "comm/communicator.h"

namespace trireme::comm {

class EngineCommunicator;

// One call under way. `advance` may keep what it likes in `step` and `state`.
struct Operation {
  CollectiveCall call;
  EngineCommunicator* communicator = nullptr;
  core::CpuStream* stream = nullptr;
  int64_t ticket = 0;
  int lane = 0;          // of the communicator: its collectives, or one direction to one peer
  int64_t sequence = 0;  // 1, 2, ... in order of submission to the lane
  bool started = false;
  std::chrono::steady_clock::time_point start;
  bool more_to_start = false;  // set by `advance` while a call in pieces has pieces left to start
  int step = 0;
  alignas(8) std::array<std::byte, 64> state{};
  std::vector<std::byte>* scratch = nullptr;  // the stream's; grows at first use, then stays
};

class Engine final : public core::StreamEngine {
 public:
  Engine();
  ~Engine();  // drops, with an error, what is still queued
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Puts the call at the end of the stream's queue; waits while the queue is full.
  // Calls of one stream come from one thread at a time.
  void submit(const CollectiveCall& call, core::CpuStream& stream,
              EngineCommunicator& communicator);

  // Runs `task` on the comm thread between two polls. `run` waits for it and rethrows.
  void run(const std::function<void()>& task);
  void post(std::function<void()> task);

  // Waits until no call is queued.
  void drain();

  // Keeps `error` if it is the first, and drops all that is queued.
  void fail(std::exception_ptr error) noexcept;
  bool failed() const { return failed_.load(std::memory_order_acquire); }
  void check();

  // Called once, on the comm thread, after the first failure.
  void on_failure(std::function<void(std::exception_ptr)> callback);

  void host_waits() noexcept override;
  void host_goes_on() noexcept override;

 private:
  static constexpr uint64_t kCapacity = 128;
  static constexpr int kMaxStreams = 64;

  // Ring between the submitting thread (tail) and the comm thread (head).
  struct Queue {
    core::CpuStream* stream = nullptr;  // who uses it now; an idle queue may change hands
    std::array<Operation, kCapacity> ring;
    std::atomic<uint64_t> head{0};
    std::atomic<uint64_t> tail{0};
    std::vector<std::byte> scratch;

    bool empty() const { return head.load() == tail.load(); }
  };

  Queue& queue_of(core::CpuStream& stream);
  void loop();
  bool poll_queues();  // true if a call started, moved or ended
  bool poll(Queue& queue);
  bool run_tasks();
  bool busy() const;
  void keep_first(std::exception_ptr error) noexcept;
  void drop_all() noexcept;
  void drop(Queue& queue) noexcept;
  void pause(std::chrono::steady_clock::time_point last_move, int64_t seen_events);
  // Until the bell rings; at most for `longest`, and for ever if that is nanoseconds::max().
  void sleep(int64_t seen_events, std::chrono::nanoseconds longest);
  void note_waking(std::chrono::nanoseconds took);
  void ring_bell() noexcept;

  std::mutex submit_mutex_;  // queues' ownership, sequences, the first failure
  std::array<std::unique_ptr<Queue>, kMaxStreams> queues_;
  std::atomic<int> queue_count_{0};
  std::exception_ptr error_;
  std::atomic<bool> failed_{false};
  std::function<void(std::exception_ptr)> on_failure_;
  bool failure_told_ = false;

  std::mutex task_mutex_;
  std::deque<std::function<void()>> tasks_;
  std::atomic<int> task_count_{0};

  std::atomic<int> waiters_{0};
  std::atomic<int64_t> events_{0};  // anything that ends a sleep
  std::atomic<bool> asleep_{false};
  std::mutex bell_mutex_;
  std::condition_variable bell_;
  std::atomic<bool> stop_{false};
  std::chrono::nanoseconds waking_ = std::chrono::microseconds(40);  // what one costs; comm thread
  std::thread thread_;
};

// A communicator whose calls an engine runs.
class EngineCommunicator : public Communicator {
 public:
  void check() override { engine_->check(); }
  // Fails the engine, and with it every group of this process.
  void abort(std::string_view why) noexcept override;

  // Starts or goes on with a call, without blocking; true once it is done. On the comm thread.
  // Throws SystemError if the transport fails.
  virtual bool advance(Operation& operation) = 0;

 protected:
  EngineCommunicator(int rank, int size, std::shared_ptr<Engine> engine)
      : Communicator(rank, size),
        engine_(std::move(engine)),
        submitted_(1 + 2 * static_cast<size_t>(size)),
        started_(submitted_.size()) {}

  void do_enqueue(const CollectiveCall& call, Stream stream) override;
  Engine& engine() { return *engine_; }
  const std::shared_ptr<Engine>& shared_engine() { return engine_; }

  // First thing in each destructor of a class below: calls still in flight are an error, given to
  // whoever waits for them, and the comm thread lets go of this object.
  void retire() noexcept;

 private:
  friend class Engine;

  // Calls of one lane start in the order of submission on every rank, so that the order in which
  // streams happen to get on cannot pair different calls. Sends and receives have lanes of their
  // own: a send may have to wait for a receive that the peer submits after its own sends.
  int lane_of(const CollectiveCall& call) const;

  std::shared_ptr<Engine> engine_;
  core::CpuStream inline_stream_;    // of calls that finish before they return
  std::atomic<int64_t> pending_{0};  // submitted and not yet done
  std::vector<int64_t> submitted_;   // by lane; under the engine's submit_mutex_
  std::vector<int64_t> started_;     // by lane; on the comm thread
};

}  // namespace trireme::comm

#include "comm/engine.h"

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "core/base/error.h"

namespace trireme::comm {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;
using Clock = std::chrono::steady_clock;

// With work under way and nobody waiting, the thread polls for as long as one waking costs, since
// an answer often comes at once, then sleeps for this many times that.
constexpr int kSleepOverWaking = 16;
// Bounds of that cost; 40 us were seen where a hypervisor keeps the timers.
constexpr nanoseconds kLeastWaking = 5us, kMostWaking = 50us;

// The comm thread shares its core with one that computes without a pause, and computes little
// itself. From Linux 6.12 on, a thread that asks for shorter slices takes over when it wakes; it
// would wait for the other's slice to end otherwise, 3 ms. Kernels that know no such thing change
// nothing. Source: sched_setattr(2); the kernel's struct, which C libraries of some years ago lack.
void ask_for_short_slices() {
  struct {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime_ns, deadline_ns, period_ns;
  } attributes{};
  constexpr int kSelf = 0;
  if (::syscall(SYS_sched_getattr, kSelf, &attributes, sizeof attributes, 0) != 0) return;
  constexpr uint32_t kNormal = 0;  // SCHED_OTHER
  if (attributes.policy != kNormal) return;
  attributes.runtime_ns = 100'000;
  ::syscall(SYS_sched_setattr, kSelf, &attributes, 0);
}

}  // namespace

Engine::Engine() : thread_([this] { loop(); }) {}

Engine::~Engine() {
  stop_.store(true);
  ring_bell();
  thread_.join();
}

void Engine::submit(const CollectiveCall& call, core::CpuStream& stream,
                    EngineCommunicator& communicator) {
  const auto capacity = static_cast<int64_t>(kCapacity);
  if (stream.submitted >= capacity) core::wait_for(stream, stream.submitted + 1 - capacity);
  {
    const std::lock_guard lock(submit_mutex_);
    if (failed_.load()) std::rethrow_exception(error_);
    Queue& queue = queue_of(stream);
    const uint64_t tail = queue.tail.load(std::memory_order_relaxed);
    Operation& operation = queue.ring[tail % kCapacity];
    operation.call = call;
    operation.communicator = &communicator;
    operation.stream = &stream;
    operation.ticket = ++stream.submitted;
    operation.lane = communicator.lane_of(call);
    operation.sequence = ++communicator.submitted_[operation.lane];
    operation.started = false;
    operation.more_to_start = false;
    operation.step = 0;
    operation.scratch = &queue.scratch;
    stream.engine = this;
    communicator.pending_.fetch_add(1);
    queue.tail.store(tail + 1);
  }
  ring_bell();
}

Engine::Queue& Engine::queue_of(core::CpuStream& stream) {
  const int count = queue_count_.load();
  for (int i = 0; i < count; ++i)
    if (queues_[i]->stream == &stream) return *queues_[i];
  if (count < kMaxStreams) {
    queues_[count] = std::make_unique<Queue>();
    queues_[count]->stream = &stream;
    queue_count_.store(count + 1);
    return *queues_[count];
  }
  // Streams come and go (tests, evaluation); a queue without work belongs to nobody.
  for (auto& queue : queues_) {
    if (!queue->empty()) continue;
    queue->stream = &stream;
    return *queue;
  }
  throw SystemError(fmt::format("[comm] more than {} streams have work at once", kMaxStreams));
}

void Engine::run(const std::function<void()>& task) {
  std::exception_ptr error;
  std::atomic<bool> done{false};
  post([&] {
    try {
      task();
    } catch (...) {
      error = std::current_exception();
    }
    done.store(true);
    done.notify_all();
  });
  done.wait(false);
  if (error) std::rethrow_exception(error);
}

void Engine::post(std::function<void()> task) {
  {
    const std::lock_guard lock(task_mutex_);
    tasks_.push_back(std::move(task));
    task_count_.fetch_add(1);
  }
  ring_bell();
}

void Engine::drain() {
  host_waits();
  while (busy()) std::this_thread::yield();
  host_goes_on();
  check();
}

void Engine::fail(std::exception_ptr error) noexcept {
  keep_first(std::move(error));
  ring_bell();
}

void Engine::keep_first(std::exception_ptr error) noexcept {
  const std::lock_guard lock(submit_mutex_);
  if (failed_.load()) return;
  error_ = std::move(error);
  failed_.store(true);
}

void Engine::check() {
  if (!failed()) return;
  const std::lock_guard lock(submit_mutex_);
  std::rethrow_exception(error_);
}

void Engine::on_failure(std::function<void(std::exception_ptr)> callback) {
  const std::lock_guard lock(submit_mutex_);
  on_failure_ = std::move(callback);
}

void Engine::host_waits() noexcept {
  waiters_.fetch_add(1);
  ring_bell();
}

void Engine::host_goes_on() noexcept { waiters_.fetch_sub(1); }

void Engine::loop() {
  prctl(PR_SET_NAME, "trireme-comm");
  prctl(PR_SET_TIMERSLACK, 1000UL);  // the default stretches each short sleep by 50 us
  ask_for_short_slices();
  Clock::time_point last_move = Clock::now();
  while (true) {
    const int64_t seen_events = events_.load();
    bool moved = run_tasks();
    if (failed())
      drop_all();
    else
      moved |= poll_queues();
    if (stop_.load()) break;
    if (moved)
      last_move = Clock::now();
    else
      pause(last_move, seen_events);
  }
  run_tasks();
  if (busy())
    keep_first(
        std::make_exception_ptr(SystemError("[comm] the engine ended with calls in flight")));
  drop_all();
}

bool Engine::run_tasks() {
  if (task_count_.load() == 0) return false;
  std::function<void()> task;
  {
    const std::lock_guard lock(task_mutex_);
    task = std::move(tasks_.front());
    tasks_.pop_front();
    task_count_.fetch_sub(1);
  }
  task();
  return true;
}

bool Engine::poll_queues() {
  bool moved = false;
  try {
    const int count = queue_count_.load();
    for (int i = 0; i < count; ++i)
      if (!queues_[i]->empty()) moved |= poll(*queues_[i]);
  } catch (...) {
    keep_first(std::current_exception());
    return true;
  }
  return moved;
}

bool Engine::poll(Queue& queue) {
  const uint64_t head = queue.head.load(std::memory_order_relaxed);
  Operation& operation = queue.ring[head % kCapacity];
  EngineCommunicator& communicator = *operation.communicator;
  int64_t& started = communicator.started_[operation.lane];
  bool moved = false;
  if (!operation.started) {
    if (started + 1 != operation.sequence) return false;
    operation.started = true;
    operation.start = Clock::now();
    moved = true;
  }
  const int step = operation.step;
  const bool done = communicator.advance(operation);
  // A call in pieces lets the next one start only once its last piece has.
  if (!operation.more_to_start && started < operation.sequence) started = operation.sequence;
  if (!done) return moved || step != operation.step;
  core::CpuStream& stream = *operation.stream;
  const int64_t ticket = operation.ticket;
  const nanoseconds took = Clock::now() - operation.start;
  stream.busy_ns.fetch_add(took.count(), std::memory_order_relaxed);
  communicator.pending_.fetch_sub(1);
  queue.head.store(head + 1);
  // The last touch: the waiter may destroy the stream. notify_all looks at the address only.
  stream.completed.store(ticket);
  stream.completed.notify_all();
  return true;
}

bool Engine::busy() const {
  const int count = queue_count_.load();
  return std::any_of(queues_.begin(), queues_.begin() + count,
                     [](const auto& queue) { return !queue->empty(); });
}

void Engine::drop_all() noexcept {
  if (failed_.load() && !std::exchange(failure_told_, true)) {
    std::function<void(std::exception_ptr)> tell;
    {
      const std::lock_guard lock(submit_mutex_);
      tell = on_failure_;
    }
    // Before any waiter here is woken: it may free buffers that peers would still read.
    if (tell) tell(error_);
  }
  const std::lock_guard lock(submit_mutex_);
  const int count = queue_count_.load();
  for (int i = 0; i < count; ++i) drop(*queues_[i]);
}

void Engine::drop(Queue& queue) noexcept {
  const uint64_t tail = queue.tail.load();
  uint64_t head = queue.head.load();
  if (head == tail) return;
  core::CpuStream& stream = *queue.ring[head % kCapacity].stream;
  for (; head != tail; ++head) queue.ring[head % kCapacity].communicator->pending_.fetch_sub(1);
  queue.head.store(tail);
  stream.error = error_;
  stream.completed.store(core::CpuStream::kFailed);
  stream.completed.notify_all();
}

// The host enqueues, then computes: the comm thread must not take its core. It never yields to it
// either: on Linux 6.18 a thread that yields to one that computes gets the core back at a tick of
// the scheduler's clock, up to 4 ms later, and no bell wakes it before. A blocked host has nothing
// to lose, so then polling goes on without sleep.
void Engine::pause(Clock::time_point last_move, int64_t seen_events) {
  if (!busy()) {
    sleep(seen_events, nanoseconds::max());
  } else if (waiters_.load() > 0) {
    std::this_thread::yield();
  } else if (Clock::now() - last_move > waking_) {
    sleep(seen_events, kSleepOverWaking * waking_);
  }
}

void Engine::sleep(int64_t seen_events, nanoseconds longest) {
  asleep_.store(true);
  std::unique_lock lock(bell_mutex_);
  const auto woken = [&] { return events_.load() != seen_events; };
  if (longest == nanoseconds::max()) {
    bell_.wait(lock, woken);
  } else {
    const Clock::time_point begin = Clock::now();
    if (!bell_.wait_for(lock, longest, woken)) note_waking(Clock::now() - begin - longest);
  }
  asleep_.store(false);
}

// Follows the median of what sleeps took beyond their time.
void Engine::note_waking(nanoseconds took) {
  waking_ += took > waking_ ? waking_ / 16 : -waking_ / 16;
  waking_ = std::clamp(waking_, kLeastWaking, kMostWaking);
}

void Engine::ring_bell() noexcept {
  events_.fetch_add(1);
  if (!asleep_.load()) return;
  const std::lock_guard lock(bell_mutex_);
  bell_.notify_one();
}

void EngineCommunicator::do_enqueue(const CollectiveCall& call, Stream stream) {
  if (stream.device != core::DeviceKind::kCpu)
    fail("[{}] expects a CPU stream for {}, got a CUDA stream; ranks on GPUs talk over NCCL",
         transport(), name_of(call.kind));
  if (size() == 1 && call.send == call.recv) return;
  if (core::CpuStream* queued = stream.cpu()) {
    engine_->submit(call, *queued, *this);
    return;
  }
  engine_->submit(call, inline_stream_, *this);
  core::wait_for(inline_stream_, inline_stream_.submitted);
}

int EngineCommunicator::lane_of(const CollectiveCall& call) const {
  if (call.kind == CollectiveKind::kSend) return 1 + call.peer;
  if (call.kind == CollectiveKind::kRecv) return 1 + size() + call.peer;
  return 0;
}

void EngineCommunicator::abort(std::string_view why) noexcept {
  engine_->fail(std::make_exception_ptr(SystemError(fmt::format("[{}] {}", transport(), why))));
}

void EngineCommunicator::retire() noexcept {
  if (pending_.load() != 0) abort("a communicator was destroyed with calls in flight");
  // Past one turn of the comm thread nothing of this object is looked at any more.
  while (pending_.load() != 0) std::this_thread::yield();
}

}  // namespace trireme::comm

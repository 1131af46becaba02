#include "cuda_emulator.h"

#include <algorithm>
#include <array>
#include <bit>
#include <map>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

#include "fiber.h"
#include "guarded_bytes.h"

namespace emulator {
namespace {

constexpr int kMaxThreads = 1024;
Schedule schedule_now;

struct SharedRange {
  void* data;
  size_t bytes;
};
std::vector<SharedRange>& shared_ranges() {
  static std::vector<SharedRange> ranges;
  return ranges;
}

std::string str(uint3 i) {
  return "(" + std::to_string(i.x) + ", " + std::to_string(i.y) + ", " + std::to_string(i.z) + ")";
}

// A set of thread numbers, with its first, last and n-th member.
class ThreadSet {
 public:
  void insert(int i) { words_[i / 64] |= uint64_t{1} << (i % 64), ++size_; }
  void erase(int i) { words_[i / 64] &= ~(uint64_t{1} << (i % 64)), --size_; }
  int size() const { return size_; }
  int first() const {
    int w = 0;
    while (words_[w] == 0) ++w;
    return 64 * w + std::countr_zero(words_[w]);
  }
  int last() const {
    int w = kMaxThreads / 64 - 1;
    while (words_[w] == 0) --w;
    return 64 * w + 63 - std::countl_zero(words_[w]);
  }
  int nth(int n) const {
    int w = 0;
    for (; n >= std::popcount(words_[w]); ++w) n -= std::popcount(words_[w]);
    uint64_t word = words_[w];
    for (; n > 0; --n) word &= word - 1;
    return 64 * w + std::countr_zero(word);
  }

 private:
  std::array<uint64_t, kMaxThreads / 64> words_{};
  int size_ = 0;
};

struct Thread {
  enum class State { kReady, kAtBarrier, kInWarp, kDone } state = State::kReady;
  std::source_location where;
  WarpOp op = WarpOp::kSync;
  unsigned mask = 0;
  uint64_t value = 0;
  int source_lane = 0;

  bool same_call(const Thread& other) const {
    return op == other.op && mask == other.mask && where.line() == other.where.line() &&
           where.column() == other.where.column() &&
           (where.file_name() == other.where.file_name() ||
            std::strcmp(where.file_name(), other.where.file_name()) == 0);
  }
};

// The threads of the block that is running.
class Block {
 public:
  Block(int threads, std::mt19937_64& random) : threads_(threads), random_(random) {}

  void run(const std::function<void()>& body);
  void wait_at_barrier(std::source_location where);
  uint64_t exchange(WarpOp op, unsigned mask, uint64_t value, int source_lane,
                    std::source_location where);
  int caller() const { return current_; }

 private:
  static Fiber& fiber(int thread);
  int pick();
  void release(int thread);
  void release_barrier_if_full();
  void release_call_of(int lane);
  void release_warp_of(int lane);
  uint64_t result_of(const Thread& lane, int warp, unsigned lanes) const;
  [[noreturn]] void report_divergence() const;

  std::vector<Thread> threads_;
  ThreadSet ready_;
  int at_barrier_ = 0;
  int current_ = -1;
  std::mt19937_64& random_;
};

Block* block_now = nullptr;
GuardedBytes* dynamic_now = nullptr;

Fiber& Block::fiber(int thread) {
  static std::vector<std::unique_ptr<Fiber>> fibers(kMaxThreads);
  if (!fibers[thread]) fibers[thread] = std::make_unique<Fiber>();
  return *fibers[thread];
}

uint3 index_in(unsigned i, dim3 extent) {
  return {i % extent.x, i / extent.x % extent.y, i / extent.x / extent.y};
}

void Block::run(const std::function<void()>& body) {
  const int count = static_cast<int>(threads_.size());
  for (int i = 0; i < count; ++i) {
    fiber(i).start(body);
    ready_.insert(i);
  }
  int done = 0;
  while (done < count) {
    if (ready_.size() == 0) report_divergence();
    current_ = pick();
    threadIdx = index_in(static_cast<unsigned>(current_), blockDim);
    if (!fiber(current_).resume()) continue;
    threads_[current_].state = Thread::State::kDone;
    ready_.erase(current_);
    ++done;
    release_warp_of(current_);
  }
}

int Block::pick() {
  switch (schedule_now.order) {
    case Schedule::Order::kForward:
      return ready_.first();
    case Schedule::Order::kBackward:
      return ready_.last();
    case Schedule::Order::kRandom:
      break;
  }
  return ready_.nth(static_cast<int>(random_() % static_cast<uint64_t>(ready_.size())));
}

void Block::release(int thread) {
  threads_[thread].state = Thread::State::kReady;
  ready_.insert(thread);
}

void Block::wait_at_barrier(std::source_location where) {
  Thread& self = threads_[current_];
  self = {Thread::State::kAtBarrier, where};
  ready_.erase(current_);
  ++at_barrier_;
  Fiber& own = fiber(current_);
  release_barrier_if_full();
  own.yield();
}

void Block::release_barrier_if_full() {
  if (at_barrier_ < static_cast<int>(threads_.size())) return;
  for (const Thread& thread : threads_)
    if (!thread.same_call(threads_[0])) return;  // report_divergence() will say so
  at_barrier_ = 0;
  for (int i = 0; i < static_cast<int>(threads_.size()); ++i) release(i);
}

uint64_t Block::exchange(WarpOp op, unsigned mask, uint64_t value, int source_lane,
                         std::source_location where) {
  const int caller = current_;
  if ((mask >> (caller % 32) & 1) == 0) fault("calls a warp function whose mask leaves it out");
  threads_[caller] = {Thread::State::kInWarp, where, op, mask, value, source_lane};
  ready_.erase(caller);
  Fiber& own = fiber(caller);
  release_call_of(caller);
  own.yield();
  return threads_[caller].value;
}

// Releases the lanes that wait in the same call as `lane`, if its mask names no other live lane.
void Block::release_call_of(int lane) {
  const Thread call = threads_[lane];
  const int begin = lane / 32 * 32, lanes = std::min(32, static_cast<int>(threads_.size()) - begin);
  unsigned waiting = 0;
  // From the top: in forward order the lanes that have yet to come are found at once.
  for (int i = lanes - 1; i >= 0; --i) {
    const Thread& other = threads_[begin + i];
    if ((call.mask >> i & 1) == 0 || other.state == Thread::State::kDone) continue;
    if (other.state != Thread::State::kInWarp || !other.same_call(call)) return;
    waiting |= 1u << i;
  }
  std::array<uint64_t, 32> results;
  for (int i = 0; i < lanes; ++i)
    if (waiting >> i & 1) results[i] = result_of(threads_[begin + i], begin / 32, waiting);
  for (int i = 0; i < lanes; ++i)
    if (waiting >> i & 1) {
      threads_[begin + i].value = results[i];
      release(begin + i);
    }
}

// A lane has exited, and nobody waits for it any longer.
void Block::release_warp_of(int lane) {
  const int begin = lane / 32 * 32, end = std::min(begin + 32, static_cast<int>(threads_.size()));
  for (int i = begin; i < end; ++i)
    if (threads_[i].state == Thread::State::kInWarp) release_call_of(i);
}

uint64_t Block::result_of(const Thread& lane, int warp, unsigned lanes) const {
  if (lane.op == WarpOp::kSync) return 0;
  if (lane.op == WarpOp::kShuffle) {
    if ((lanes >> lane.source_lane & 1) == 0)
      fault("shuffle from lane " + std::to_string(lane.source_lane) + ", which takes no part (" +
            lane.where.file_name() + ":" + std::to_string(lane.where.line()) + ")");
    return threads_[32 * warp + lane.source_lane].value;
  }
  unsigned ballot = 0;
  for (int i = 0; i < 32; ++i)
    if ((lanes >> i & 1) && threads_[32 * warp + i].value != 0) ballot |= 1u << i;
  return ballot;
}

void Block::report_divergence() const {
  std::map<std::string, int> places;
  for (const Thread& thread : threads_) {
    const std::string place =
        thread.state == Thread::State::kDone
            ? "exited"
            : (thread.state == Thread::State::kAtBarrier ? "at the barrier of "
                                                         : "in the warp function of ") +
                  std::string(thread.where.file_name()) + ":" + std::to_string(thread.where.line());
    ++places[place];
  }
  std::string text = "divergent barrier in block " + str(blockIdx) + ":";
  for (const auto& [place, count] : places) text += " " + std::to_string(count) + " " + place + ";";
  text.pop_back();
  throw Fault(text);
}

std::vector<unsigned> block_order(unsigned blocks, std::mt19937_64& random) {
  std::vector<unsigned> order(blocks);
  std::iota(order.begin(), order.end(), 0u);
  if (schedule_now.order == Schedule::Order::kBackward) std::reverse(order.begin(), order.end());
  if (schedule_now.order == Schedule::Order::kRandom)
    std::shuffle(order.begin(), order.end(), random);
  return order;
}

void check_launch(dim3 grid, dim3 block, size_t shared_bytes) {
  const uint64_t threads = uint64_t{block.x} * block.y * block.z;
  if (threads == 0 || threads > kMaxThreads || block.z > 64)
    throw Fault("invalid configuration: " + std::to_string(threads) + " threads a block");
  if (grid.y > 65535 || grid.z > 65535) throw Fault("invalid configuration: grid too large");
  if (shared_bytes > (48 << 10))
    throw Fault("invalid configuration: " + std::to_string(shared_bytes) + " B of shared memory");
}

}  // namespace

void set_schedule(Schedule schedule) { schedule_now = schedule; }

SharedMemory::SharedMemory(void* data, size_t bytes) {
  std::memset(data, 0xFF, bytes);
  shared_ranges().push_back({data, bytes});
}

void* dynamic_shared() { return dynamic_now->data(); }

int lane_of_caller() { return block_now->caller() % 32; }

void fault(const std::string& what) {
  throw Fault("thread " + str(threadIdx) + " of block " + str(blockIdx) + ": " + what);
}

uint64_t warp_exchange(WarpOp op, unsigned mask, uint64_t value, int source_lane,
                       std::source_location where) {
  return block_now->exchange(op, mask, value, source_lane, where);
}

void run_grid(dim3 grid, dim3 block, size_t shared_bytes, const std::function<void()>& body) {
  check_launch(grid, block, shared_bytes);
  std::mt19937_64 random(schedule_now.seed);
  gridDim = grid;
  blockDim = block;
  for (const unsigned number : block_order(grid.x * grid.y * grid.z, random)) {
    blockIdx = index_in(number, grid);
    for (const SharedRange& range : shared_ranges()) std::memset(range.data, 0xFF, range.bytes);
    GuardedBytes dynamic(shared_bytes);
    Block running(static_cast<int>(block.x * block.y * block.z), random);
    dynamic_now = &dynamic;
    block_now = &running;
    running.run(body);
    if (!dynamic.guards_hold())
      throw Fault("block " + str(blockIdx) + " wrote outside its dynamic shared memory");
  }
}

}  // namespace emulator

void __syncthreads(std::source_location where) { emulator::block_now->wait_at_barrier(where); }

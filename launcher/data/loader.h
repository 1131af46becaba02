// Batches on the host, read ahead of the training loop by one thread.
//
// The thread sleeps while its buffers are full, so it takes only the time that reading takes.
// Buffers are made once; a step allocates nothing.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "launcher/data/dataset.h"
#include "launcher/data/sampler.h"

namespace trireme::core {
class Device;
}

namespace trireme::launcher {

// One micro-batch of this rank.
struct Batch {
  std::span<float> features;  // (rows, feature shape); 0 in padding; empty for tokens
  std::span<int32_t> tokens;  // (rows, feature shape) of an i32 dataset, else empty
  std::span<int32_t> labels;  // (rows, label shape); 0 in padding
  std::span<float> weights;   // (rows): 1, or 0 in padding
  int64_t step = 0;
  int64_t micro_batch = 0;  // which of the step
  int64_t first_row = 0;    // of row 0 within the step's global batch

  // Features or tokens, whichever there are.
  const void* data() const {
    return tokens.empty() ? static_cast<const void*>(features.data()) : tokens.data();
  }
};

// Where buffers come from; memory must be aligned to 64 bytes or more. The functions outlive the
// loader.
struct HostAllocator {
  std::function<void*(int64_t bytes)> allocate;
  std::function<void(void*)> free;
};
HostAllocator ordinary_memory();
// Pinned, on a GPU. `device` must outlive the loader.
HostAllocator host_memory(core::Device& device);

class Loader {
 public:
  static constexpr int kBuffers = 2;
  static constexpr int64_t kEndless = std::numeric_limits<int64_t>::max();

  // `buffers` >= 2 batches are read ahead. Nothing is read before start().
  // Throws InvalidArgument if the share does not divide evenly.
  Loader(std::shared_ptr<const Dataset> dataset, std::shared_ptr<const Sampler> sampler,
         const BatchShare& share, HostAllocator allocator, int buffers = kBuffers);
  // Ends the thread within one sample's reading time, in whatever state it is.
  ~Loader();

  // Batches of steps [first_step, end_step) from now on; what was read ahead is dropped and no
  // batch may be held. May be called again, for the next evaluation or after an error.
  void start(int64_t first_step, int64_t end_step = kEndless);

  // The next micro-batch, in order; waits until it has been read. It stays as it is until its
  // release(). Up to `buffers` may be held, for copies that are still under way.
  // Throws what the dataset threw, with the sample and the dataset's name before it and its exit
  // code (kBadData for foreign exceptions); InvalidArgument past the end.
  const Batch& next();
  // Gives back the oldest batch held.
  void release();

 private:
  struct Buffer {
    std::unique_ptr<void, std::function<void(void*)>> memory;
    Batch batch;
  };
  Buffer make_buffer() const;
  void run();
  bool may_read() const;
  void fill(Batch& batch, int64_t number) const;
  void read_row(Batch& batch, int64_t row, int64_t draw) const;
  Sample sample_of(Batch& batch, int64_t row) const;
  void check(const Sample& sample) const;

  const std::shared_ptr<const Dataset> dataset_;
  const std::shared_ptr<const Sampler> sampler_;
  const BatchShare share_;
  const HostAllocator allocator_;
  const DatasetInfo info_;
  std::vector<Buffer> buffers_;

  // Batches are numbered step * micro_batches + micro-batch; number n lies in buffer n % buffers.
  // released_ <= handed_out_ <= read_ <= end_.
  std::mutex mutex_;
  std::condition_variable work_;   // for the thread: a buffer is free, or start, or stop
  std::condition_variable ready_;  // for the caller: a batch has been read, or the thread rests
  int64_t released_ = 0, handed_out_ = 0, read_ = 0, end_ = 0;
  bool reading_ = false;              // the thread works on batch read_, outside the mutex
  std::exception_ptr failure_;        // of batch read_
  std::atomic<bool> cancel_ = false;  // drop the batch that is being read
  bool stopping_ = false;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace trireme::launcher

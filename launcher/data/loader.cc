#include "launcher/data/loader.h"

#include <algorithm>
#include <new>
#include <utility>

#include "core/runtime/device.h"
#include "launcher/data/errors.h"

namespace trireme::launcher {
namespace {

constexpr int64_t kAlignment = 256;

int64_t padded(int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

// Says which sample it was; keeps the exit code.
[[noreturn]] void rethrow_for_sample(const Dataset& dataset, int64_t index) {
  const std::string where = fmt::format("[data] sample {} of {}", index, dataset.name());
  try {
    throw;
  } catch (const InvalidArgument& error) {
    throw InvalidArgument(fmt::format("{}: {}", where, error.what()), error.code());
  } catch (const Error& error) {
    throw Error(fmt::format("{}: {}", where, error.what()), error.code());
  } catch (const std::bad_alloc&) {
    throw Error(fmt::format("{}: out of memory", where), ExitCode::kInternal);
  } catch (const std::exception& error) {
    bad_data("{}: {}", where, error.what());
  } catch (...) {
    bad_data("{}: cannot be read", where);
  }
}

}  // namespace

HostAllocator ordinary_memory() {
  return {[](int64_t bytes) { return ::operator new (bytes, std::align_val_t{kAlignment}); },
          [](void* memory) { ::operator delete (memory, std::align_val_t{kAlignment}); }};
}

HostAllocator host_memory(core::Device& device) {
  return {[&device](int64_t bytes) { return device.allocate_host(bytes); },
          [&device](void* memory) { device.free_host(memory); }};
}

Loader::Loader(std::shared_ptr<const Dataset> dataset, std::shared_ptr<const Sampler> sampler,
               const BatchShare& share, HostAllocator allocator, int buffers)
    : dataset_(std::move(dataset)),
      sampler_(std::move(sampler)),
      share_(share),
      allocator_(std::move(allocator)),
      info_(dataset_->info()) {
  share_.check();
  if (buffers < 2) fail("[data] expects at least 2 buffers, got {}", buffers);
  for (int i = 0; i < buffers; ++i) buffers_.push_back(make_buffer());
  thread_ = std::thread([this] { run(); });
}

Loader::~Loader() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    cancel_ = true;
  }
  work_.notify_one();
  thread_.join();
}

Loader::Buffer Loader::make_buffer() const {
  const int64_t rows = share_.micro_batch;
  const int64_t features = rows * info_.feature_shape.elements();
  const int64_t labels = rows * info_.label_shape.elements();
  const int64_t label_offset = padded(features * 4);
  const int64_t weight_offset = label_offset + padded(labels * 4);
  Buffer buffer;
  buffer.memory = {allocator_.allocate(weight_offset + padded(rows * 4)), allocator_.free};
  auto* bytes = static_cast<std::byte*>(buffer.memory.get());
  const auto count = [](int64_t n) { return static_cast<size_t>(n); };
  if (info_.feature_type == core::DType::kI32)
    buffer.batch.tokens = {reinterpret_cast<int32_t*>(bytes), count(features)};
  else
    buffer.batch.features = {reinterpret_cast<float*>(bytes), count(features)};
  buffer.batch.labels = {reinterpret_cast<int32_t*>(bytes + label_offset), count(labels)};
  buffer.batch.weights = {reinterpret_cast<float*>(bytes + weight_offset), count(rows)};
  return buffer;
}

void Loader::start(int64_t first_step, int64_t end_step) {
  const int64_t parts = share_.micro_batches();
  if (first_step < 0 || end_step < first_step)
    fail("[data] expects steps in order, got [{}, {})", first_step, end_step);
  std::unique_lock lock(mutex_);
  if (handed_out_ != released_)
    fail("[data] expects every batch to be released before a new start, {} are held",
         handed_out_ - released_);
  cancel_ = true;
  ready_.wait(lock, [this] { return !reading_; });
  cancel_ = false;
  failure_ = nullptr;
  released_ = handed_out_ = read_ = first_step * parts;
  end_ = end_step > kEndless / parts ? kEndless : end_step * parts;
  work_.notify_one();
}

const Batch& Loader::next() {
  std::unique_lock lock(mutex_);
  if (handed_out_ == end_) fail("[data] expects a batch before the end of the pass, all are read");
  if (handed_out_ - released_ == static_cast<int64_t>(buffers_.size()))
    fail("[data] expects a batch to be released, all {} are held", buffers_.size());
  ready_.wait(lock, [this] { return handed_out_ < read_ || failure_; });
  if (handed_out_ == read_) std::rethrow_exception(failure_);
  return buffers_[handed_out_++ % buffers_.size()].batch;
}

void Loader::release() {
  {
    const std::lock_guard lock(mutex_);
    if (released_ == handed_out_) fail("[data] expects a batch to be held, none is");
    ++released_;
  }
  work_.notify_one();
}

bool Loader::may_read() const {
  return !cancel_ && !failure_ && read_ < end_ &&
         read_ - released_ < static_cast<int64_t>(buffers_.size());
}

void Loader::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    work_.wait(lock, [this] { return stopping_ || may_read(); });
    if (stopping_) return;
    reading_ = true;
    std::exception_ptr failure;
    lock.unlock();
    try {
      fill(buffers_[read_ % buffers_.size()].batch, read_);
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    reading_ = false;
    if (failure)
      failure_ = failure;
    else if (!cancel_)
      ++read_;
    ready_.notify_all();
  }
}

void Loader::fill(Batch& batch, int64_t number) const {
  const int64_t parts = share_.micro_batches();
  batch.step = number / parts;
  batch.micro_batch = number % parts;
  batch.first_row = share_.first_row(batch.micro_batch);
  const int64_t first_draw = batch.step * share_.global_batch + batch.first_row;
  for (int64_t row = 0; row < share_.micro_batch && !cancel_; ++row)
    read_row(batch, row, first_draw + row);
}

Sample Loader::sample_of(Batch& batch, int64_t row) const {
  const auto features = static_cast<size_t>(info_.feature_shape.elements());
  const auto labels = static_cast<size_t>(info_.label_shape.elements());
  const auto r = static_cast<size_t>(row);
  const bool tokens = !batch.tokens.empty();
  const std::span<int32_t> of_row = batch.labels.subspan(r * labels, labels);
  return {.features = tokens ? std::span<float>() : batch.features.subspan(r * features, features),
          .label = of_row.front(),
          .tokens = tokens ? batch.tokens.subspan(r * features, features) : std::span<int32_t>(),
          .labels = of_row};
}

// Kernels index with labels and tokens, so none that does not fit may reach them.
void Loader::check(const Sample& sample) const {
  const auto within = [&](int32_t n) { return n >= 0 && n < info_.classes; };
  for (int32_t label : sample.labels)
    if (!within(label)) bad_data("expects a label from 0 to {}, got {}", info_.classes - 1, label);
  for (int32_t token : sample.tokens)
    if (!within(token)) bad_data("expects a token from 0 to {}, got {}", info_.classes - 1, token);
}

void Loader::read_row(Batch& batch, int64_t row, int64_t draw) const {
  const Draw drawn = sampler_->draw(draw);
  const Sample sample = sample_of(batch, row);
  batch.weights[row] = drawn.weight;
  if (drawn.weight == 0) {
    std::ranges::fill(sample.features, 0.0f);
    std::ranges::fill(sample.tokens, 0);
    std::ranges::fill(sample.labels, 0);
    return;
  }
  try {
    dataset_->read(drawn.index, sample);
    check(sample);
  } catch (...) {
    rethrow_for_sample(*dataset_, drawn.index);
  }
}

}  // namespace trireme::launcher

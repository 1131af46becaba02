#include "launcher/checkpoint/snapshot.h"

#include <algorithm>

#include "core/base/error.h"

namespace trireme::launcher {
namespace {

// As many as a processor's cache holds for the thread that reads them next: 8 MiB.
constexpr int64_t kChunkElements = int64_t{2} << 20;

}  // namespace

Snapshot::Snapshot(const core::Session& session, core::Device& device,
                   std::vector<core::StateRange> ranges)
    : session_(session), ranges_(std::move(ranges)) {
  int64_t elements = 0;
  for (const core::StateRange& range : ranges_) {
    offsets_.push_back(elements);
    elements += range.elements;
  }
  memory_ = {static_cast<float*>(device.allocate_host(elements * core::size_of(core::DType::kF32))),
             core::FreeHost{&device}};
}

void Snapshot::begin() {
  const std::lock_guard lock(mutex_);
  copied_ = 0;
  failed_ = false;
}

void Snapshot::take() {
  try {
    for (size_t i = 0; i < ranges_.size(); ++i)
      for (int64_t first = 0; first < ranges_[i].elements; first += kChunkElements) {
        core::StateRange part = ranges_[i];
        part.first += first;
        part.elements = std::min(kChunkElements, ranges_[i].elements - first);
        session_.read_state(std::span(&part, 1), memory_.get() + offsets_[i] + first);
        publish(offsets_[i] + first + part.elements, false);
      }
  } catch (...) {
    publish(0, true);
    throw;
  }
}

void Snapshot::publish(int64_t elements, bool failed) {
  {
    const std::lock_guard lock(mutex_);
    copied_ = elements;
    failed_ = failed;
  }
  more_.notify_one();
}

std::span<const float> Snapshot::read(size_t i, int64_t first) const {
  const int64_t begin = offsets_[i] + first;
  std::unique_lock lock(mutex_);
  more_.wait(lock, [&] { return failed_ || copied_ > begin; });
  if (failed_) throw SystemError("[checkpoint] the state could not be copied");
  const int64_t end = std::min(copied_, offsets_[i] + ranges_[i].elements);
  return {memory_.get() + begin, static_cast<size_t>(end - begin)};
}

}  // namespace trireme::launcher

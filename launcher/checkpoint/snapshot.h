// A rank's share of the state at one instant, in host memory: copied by the training thread,
// between two steps, and read by the thread that writes it, which starts with the first MiB of it
// and does not wait for the last.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "core/runtime/device.h"
#include "core/runtime/session.h"

namespace trireme::launcher {

class Snapshot {
 public:
  // Both outlive the snapshot. Memory for all of the ranges is taken at once, and kept.
  Snapshot(const core::Session& session, core::Device& device,
           std::vector<core::StateRange> ranges);

  // Forgets what was copied. Nobody reads meanwhile.
  void begin();
  // Copies the ranges. If it throws, so does whoever reads.
  void take();

  const std::vector<core::StateRange>& ranges() const { return ranges_; }
  // Another thread: elements of range i from `first` on, at least one, as many as are there; waits
  // for them. Throws SystemError if the copy ended without them.
  std::span<const float> read(size_t i, int64_t first) const;

 private:
  void publish(int64_t elements, bool failed);

  const core::Session& session_;
  std::vector<core::StateRange> ranges_;
  std::vector<int64_t> offsets_;  // of each range in the memory
  core::HostPointer<float> memory_;

  mutable std::mutex mutex_;
  mutable std::condition_variable more_;
  int64_t copied_ = 0;  // elements
  bool failed_ = false;
};

}  // namespace trireme::launcher

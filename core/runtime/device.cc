#include "core/runtime/device.h"

#include <utility>

namespace trireme::core {

Buffer::Buffer(Device& device, int64_t bytes) : device_(&device), bytes_(bytes) {
  if (bytes > 0) data_ = device.allocate(bytes);
}

Buffer::Buffer(Buffer&& other) noexcept
    : device_(other.device_),
      data_(std::exchange(other.data_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  std::swap(device_, other.device_);
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

Buffer::~Buffer() {
  if (data_) device_->free(data_);
}

CommunicationTimes communication_of(Device& device) {
  CommunicationTimes times;
  for (int role = 0; role < kStreamRoles; ++role)
    if (const CpuStream* stream = device.stream(static_cast<StreamRole>(role)).cpu()) {
      times.seconds += static_cast<double>(stream->busy_ns.load()) * 1e-9;
      times.exposed += static_cast<double>(stream->waited_ns.load()) * 1e-9;
    }
  return times;
}

}  // namespace trireme::core

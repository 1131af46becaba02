// A small table in device memory, made with the kernel that reads it and freed with it.
//
// It lies outside the arenas, so it is for kilobytes: an optimizer's ranges, partial sums. Made in
// constructors only, which may wait for the device.
#pragma once

#include <cstdint>
#include <span>

namespace trireme::core {

// Throw SystemError if CUDA refuses. `contents` may be null: zeros.
void* allocate_device_table(int64_t bytes, const void* contents);
void free_device_table(void* table) noexcept;

template <typename T>
class DeviceArray {
 public:
  explicit DeviceArray(std::span<const T> contents)
      : DeviceArray(static_cast<int64_t>(contents.size()), contents.data()) {}
  explicit DeviceArray(int64_t count) : DeviceArray(count, nullptr) {}
  ~DeviceArray() { free_device_table(data_); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  T* data() const { return data_; }
  int64_t size() const { return size_; }

 private:
  DeviceArray(int64_t count, const T* contents)
      : data_(static_cast<T*>(
            allocate_device_table(count * static_cast<int64_t>(sizeof(T)), contents))),
        size_(count) {}

  T* data_;
  int64_t size_;
};

}  // namespace trireme::core

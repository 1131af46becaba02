// Buffers of any dtype with values that differ by rank and whose sums are exact in every dtype.
#pragma once

#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <vector>

#include "comm/reduce.h"
#include "core/base/error.h"

namespace trireme::comm {

template <typename... Args>
void expect(bool holds, fmt::format_string<Args...> format, Args&&... args) {
  if (!holds) throw std::runtime_error(fmt::format(format, std::forward<Args>(args)...));
}

// A small whole number: sums of 7 stay exact in bf16 and below 256 in u8.
inline double value_at(int rank, int64_t i) {
  uint64_t x = static_cast<uint64_t>(i) * 0x9e3779b97f4a7c15ull + static_cast<uint64_t>(rank) + 1;
  x = (x ^ (x >> 31)) * 0xbf58476d1ce4e5b9ull;
  return static_cast<double>((x >> 40) % 31);
}

// Elements of one dtype between two guards that no call may touch.
class Values {
 public:
  Values(core::DType dtype, int64_t count)
      : dtype_(dtype), count_(count), bytes_((count + 2 * kGuard) * core::size_of(dtype), 0xa5) {}

  // Rank `rank`'s elements offset, offset + 1, ... of an endless sequence.
  Values(core::DType dtype, int64_t count, int rank, int64_t offset = 0) : Values(dtype, count) {
    for (int64_t i = 0; i < count; ++i) set(i, value_at(rank, offset + i));
  }

  void* data() { return at(0); }
  void* at(int64_t i) { return bytes_.data() + (i + kGuard) * core::size_of(dtype_); }
  int64_t count() const { return count_; }

  double get(int64_t i) {
    switch (dtype_) {
      case core::DType::kF32:
        return load<float>(i);
      case core::DType::kF64:
        return load<double>(i);
      case core::DType::kI32:
        return load<int32_t>(i);
      case core::DType::kI64:
        return static_cast<double>(load<int64_t>(i));
      case core::DType::kU8:
        return load<uint8_t>(i);
      default:
        return float_of_half(dtype_, load<uint16_t>(i));
    }
  }

  void set(int64_t i, double value) {
    switch (dtype_) {
      case core::DType::kF32:
        return store(i, static_cast<float>(value));
      case core::DType::kF64:
        return store(i, value);
      case core::DType::kI32:
        return store(i, static_cast<int32_t>(value));
      case core::DType::kI64:
        return store(i, static_cast<int64_t>(value));
      case core::DType::kU8:
        return store(i, static_cast<uint8_t>(value));
      default:
        return store(i, half_of_float(dtype_, static_cast<float>(value)));
    }
  }

  bool guards_whole() const {
    const int64_t guard = kGuard * core::size_of(dtype_);
    for (int64_t i = 0; i < guard; ++i)
      if (bytes_[i] != 0xa5 || bytes_[bytes_.size() - 1 - i] != 0xa5) return false;
    return true;
  }

 private:
  static constexpr int64_t kGuard = 16;

  template <typename T>
  T load(int64_t i) {
    T value;
    std::memcpy(&value, at(i), sizeof value);
    return value;
  }
  template <typename T>
  void store(int64_t i, T value) {
    std::memcpy(at(i), &value, sizeof value);
  }

  core::DType dtype_;
  int64_t count_;
  std::vector<uint8_t> bytes_;
};

}  // namespace trireme::comm

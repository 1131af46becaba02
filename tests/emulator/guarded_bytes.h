// Memory of an exact size between two guards: AddressSanitizer stops at the guard's first byte, and
// without it guards_hold() tells afterwards.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <vector>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, bytes) ((void)(address), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(address, bytes) ((void)(address), (void)(bytes))
#endif

namespace emulator {

class GuardedBytes {
 public:
  explicit GuardedBytes(size_t bytes) : bytes_(bytes), memory_((bytes + 15) / 16 + 2 * kGuard) {
    std::memset(memory_.data(), kPattern, memory_.size() * sizeof(Unit));
    std::memset(data(), 0xFF, bytes_);
    ASAN_POISON_MEMORY_REGION(front(), front_bytes());
    ASAN_POISON_MEMORY_REGION(back(), back_bytes());
  }
  ~GuardedBytes() { unpoison(); }
  GuardedBytes(const GuardedBytes&) = delete;
  GuardedBytes& operator=(const GuardedBytes&) = delete;

  unsigned char* data() { return front() + front_bytes(); }

  bool guards_hold() {
    unpoison();
    const auto intact = [](unsigned char byte) { return byte == kPattern; };
    return std::all_of(front(), front() + front_bytes(), intact) &&
           std::all_of(back(), back() + back_bytes(), intact);
  }

 private:
  struct alignas(16) Unit {
    unsigned char bytes[16];
  };
  static constexpr size_t kGuard = 16;  // units on either side
  static constexpr unsigned char kPattern = 0xA5;

  unsigned char* front() { return memory_.data()->bytes; }
  static size_t front_bytes() { return kGuard * sizeof(Unit); }
  unsigned char* back() { return data() + bytes_; }
  size_t back_bytes() { return memory_.size() * sizeof(Unit) - front_bytes() - bytes_; }
  void unpoison() { ASAN_UNPOISON_MEMORY_REGION(front(), memory_.size() * sizeof(Unit)); }

  size_t bytes_;
  std::vector<Unit> memory_;
};

}  // namespace emulator

// f32 arrays on the device as bf16 or f16, for products that take such operands.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/base/dtype.h"
#include "core/runtime/stream.h"

namespace trireme::core {

// y[i] = dtype(x[i] * *scale), rounded to nearest even; without a scale (null): dtype(x[i]).
//
//   x      (count)
//   scale  one f32 on the device, or null
//   y      (count), kBF16 or kF16
//
// Any alignment; x at 16 bytes and y at 8 are fastest.
void write_half(DType dtype, const float* x, const float* scale, void* y, int64_t count,
                Stream stream);

// Copies of activations, one behind the other at the front of a workspace. Of kF32 there are none:
// the originals serve.
class HalfCopies {
 public:
  HalfCopies(void* workspace, DType dtype, Stream stream)
      : free_(static_cast<std::byte*>(workspace)), dtype_(dtype), stream_(stream) {}

  const void* add(const float* x, int64_t count, const float* scale = nullptr) {
    if (dtype_ == DType::kF32) return x;
    void* const copy = free_;
    write_half(dtype_, x, scale, copy, count, stream_);
    free_ += bytes(dtype_, count);
    return copy;
  }
  void* rest() const { return free_; }  // of the workspace

  static int64_t bytes(DType dtype, int64_t count) {
    return dtype == DType::kF32 ? 0 : (count * size_of(dtype) + 255) / 256 * 256;
  }

 private:
  std::byte* free_;
  DType dtype_;
  Stream stream_;
};

}  // namespace trireme::core

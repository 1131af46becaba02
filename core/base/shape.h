// Shapes of tensors: up to six dimensions, held by value. The last dimension is the fastest;
// images are NHWC.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

#include "core/base/dtype.h"

namespace trireme::core {

class Shape {
 public:
  static constexpr int kMaxRank = 6;

  Shape() = default;  // a scalar
  // Throws InvalidArgument for more than six dimensions, a negative one, or a product past 2^62.
  Shape(std::initializer_list<int64_t> dims)
      : Shape(std::span<const int64_t>(dims.begin(), dims.size())) {}
  explicit Shape(std::span<const int64_t> dims);

  int rank() const { return rank_; }
  // Negative axes count from the end: shape[-1] is the last dimension.
  int64_t operator[](int axis) const { return dims_[axis < 0 ? axis + rank_ : axis]; }
  int64_t elements() const;
  std::span<const int64_t> dims() const { return {dims_.data(), static_cast<size_t>(rank_)}; }

  // The product of all dimensions but the first: the elements of one sample of a batch.
  int64_t elements_per_row() const;
  Shape with_dim(int axis, int64_t extent) const;

  bool operator==(const Shape& other) const;
  std::string str() const;  // "(32, 28, 28, 1)"

 private:
  std::array<int64_t, kMaxRank> dims_{};
  int rank_ = 0;
};

// What a graph knows of a value: its shape and element type.
struct ValueType {
  Shape shape;
  DType dtype = DType::kNone;

  bool present() const { return dtype != DType::kNone; }
  int64_t elements() const { return present() ? shape.elements() : 0; }
  int64_t bytes() const { return elements() * size_of(dtype); }
  bool operator==(const ValueType&) const = default;
  std::string str() const;  // "f32(32, 10)"
};

}  // namespace trireme::core

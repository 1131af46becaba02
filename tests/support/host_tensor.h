// Tensors of the tests: any dtype, held as doubles on the host, and ways to fill them.
//
// Values are rounded to the dtype when they are made, so that a reference in double and a kernel
// see the same inputs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "core/base/shape.h"

namespace trireme::test {

struct HostTensor {
  core::ValueType type;
  std::vector<double> values;  // rows last-dimension first, as in memory

  bool present() const { return type.present(); }
  int64_t size() const { return static_cast<int64_t>(values.size()); }
};

// An optional operand that is not given.
inline HostTensor absent() { return {}; }

// The bytes of `tensor` as the device holds them, and back. f32, f64, i32, i64 and u8.
std::vector<std::byte> to_bytes(const HostTensor& tensor);
HostTensor from_bytes(const core::ValueType& type, const std::vector<std::byte>& bytes);

HostTensor tensor_of(core::DType dtype, core::Shape shape, std::vector<double> values);
HostTensor zeros(core::DType dtype, core::Shape shape);

// One seeded source of test data. Every draw differs from the one before.
class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}

  HostTensor uniform(core::Shape shape, double low = -1, double high = 1);
  HostTensor normal(core::Shape shape, double stddev = 1);
  // f32 values that all differ by at least `spacing` and keep that far from 0: for functions with
  // kinks (relu, max), whose numeric gradient must not step across one.
  HostTensor distinct(core::Shape shape, double spacing = 0.05);
  HostTensor labels(core::Shape shape, int64_t classes);  // i32 in [0, classes)

 private:
  std::mt19937_64 engine_;
};

}  // namespace trireme::test

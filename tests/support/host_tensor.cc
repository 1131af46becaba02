#include "tests/support/host_tensor.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "core/base/error.h"

namespace trireme::test {
namespace {

using core::DType;

// Calls body with a value of the C++ type of `dtype`.
template <typename Body>
void with_type(DType dtype, const Body& body) {
  switch (dtype) {
    case DType::kF32:
      return body(float{});
    case DType::kF64:
      return body(double{});
    case DType::kI32:
      return body(int32_t{});
    case DType::kI64:
      return body(int64_t{});
    case DType::kU8:
      return body(uint8_t{});
    default:
      fail("[test] has no host form of {}", name_of(dtype));
  }
}

HostTensor rounded(HostTensor tensor) { return from_bytes(tensor.type, to_bytes(tensor)); }

}  // namespace

std::vector<std::byte> to_bytes(const HostTensor& tensor) {
  std::vector<std::byte> bytes(static_cast<size_t>(tensor.type.bytes()));
  if (!tensor.present()) return bytes;
  ensure(tensor.size() == tensor.type.elements(), "a test tensor holds what its shape says");
  with_type(tensor.type.dtype, [&](auto zero) {
    for (size_t i = 0; i < tensor.values.size(); ++i) {
      const auto value = static_cast<decltype(zero)>(tensor.values[i]);
      std::memcpy(bytes.data() + i * sizeof value, &value, sizeof value);
    }
  });
  return bytes;
}

HostTensor from_bytes(const core::ValueType& type, const std::vector<std::byte>& bytes) {
  HostTensor tensor{type, std::vector<double>(static_cast<size_t>(type.elements()))};
  if (!type.present()) return tensor;
  with_type(type.dtype, [&](auto value) {
    for (size_t i = 0; i < tensor.values.size(); ++i) {
      std::memcpy(&value, bytes.data() + i * sizeof value, sizeof value);
      tensor.values[i] = static_cast<double>(value);
    }
  });
  return tensor;
}

HostTensor tensor_of(DType dtype, core::Shape shape, std::vector<double> values) {
  return rounded({{shape, dtype}, std::move(values)});
}

HostTensor zeros(DType dtype, core::Shape shape) {
  return {{shape, dtype}, std::vector<double>(static_cast<size_t>(shape.elements()))};
}

HostTensor Random::uniform(core::Shape shape, double low, double high) {
  HostTensor tensor = zeros(DType::kF32, shape);
  std::uniform_real_distribution<double> draw(low, high);
  for (double& value : tensor.values) value = draw(engine_);
  return rounded(std::move(tensor));
}

HostTensor Random::normal(core::Shape shape, double stddev) {
  HostTensor tensor = zeros(DType::kF32, shape);
  std::normal_distribution<double> draw(0, stddev);
  for (double& value : tensor.values) value = draw(engine_);
  return rounded(std::move(tensor));
}

HostTensor Random::distinct(core::Shape shape, double spacing) {
  HostTensor tensor = zeros(DType::kF32, shape);
  std::iota(tensor.values.begin(), tensor.values.end(), 0.0);
  const double middle = static_cast<double>(tensor.values.size() / 2);
  // Odd multiples of the spacing on both sides of 0.
  for (double& value : tensor.values) value = (2 * (value - middle) + 1) * spacing;
  std::ranges::shuffle(tensor.values, engine_);
  return rounded(std::move(tensor));
}

HostTensor Random::labels(core::Shape shape, int64_t classes) {
  HostTensor tensor = zeros(DType::kI32, shape);
  std::uniform_int_distribution<int64_t> draw(0, classes - 1);
  for (double& value : tensor.values) value = static_cast<double>(draw(engine_));
  return tensor;
}

}  // namespace trireme::test

// Element types of tensors.
#pragma once

#include <cstdint>
#include <string_view>

namespace trireme::core {

// kNone marks an optional operand that is absent (a linear layer without bias).
enum class DType : uint8_t { kNone, kF32, kF16, kBF16, kF64, kI32, kI64, kU8 };

constexpr int64_t size_of(DType dtype) {
  switch (dtype) {
    case DType::kNone:
      return 0;
    case DType::kF32:
      return 4;
    case DType::kF16:
      return 2;
    case DType::kBF16:
      return 2;
    case DType::kF64:
      return 8;
    case DType::kI32:
      return 4;
    case DType::kI64:
      return 8;
    case DType::kU8:
      return 1;
  }
  return 0;
}

constexpr std::string_view name_of(DType dtype) {
  switch (dtype) {
    case DType::kNone:
      return "none";
    case DType::kF32:
      return "f32";
    case DType::kF16:
      return "f16";
    case DType::kBF16:
      return "bf16";
    case DType::kF64:
      return "f64";
    case DType::kI32:
      return "i32";
    case DType::kI64:
      return "i64";
    case DType::kU8:
      return "u8";
  }
  return "?";
}

}  // namespace trireme::core

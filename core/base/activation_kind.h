// The pointwise nonlinearities, by themselves or fused into the op before them.
#pragma once

#include <cstdint>
#include <string_view>

namespace trireme::core {

enum class ActivationKind : uint8_t { kNone, kRelu, kGelu, kGeluTanh, kTanh, kSigmoid, kSilu };

constexpr std::string_view name_of(ActivationKind kind) {
  switch (kind) {
    case ActivationKind::kNone:
      return "none";
    case ActivationKind::kRelu:
      return "relu";
    case ActivationKind::kGelu:
      return "gelu";
    case ActivationKind::kGeluTanh:
      return "gelu_tanh";
    case ActivationKind::kTanh:
      return "tanh";
    case ActivationKind::kSigmoid:
      return "sigmoid";
    case ActivationKind::kSilu:
      return "silu";
  }
  return "?";
}

// Whether the derivative is computed from the input (GELU, SiLU) or can be had from the output.
constexpr bool needs_input_for_gradient(ActivationKind kind) {
  return kind == ActivationKind::kGelu || kind == ActivationKind::kGeluTanh ||
         kind == ActivationKind::kSilu;
}

}  // namespace trireme::core

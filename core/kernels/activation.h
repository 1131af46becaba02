// The nonlinearities and their derivatives, one element at a time, for host and device.
//
// Each is a type with
//   float operator()(float x)                  y
//   float derivative(float saved)              f'(x), where saved is x if
//                                              needs_input_for_gradient(kind), else y
// so that a loop or a kernel is a template over it and holds no switch.
#pragma once

#include "core/base/activation_kind.h"
#include "core/base/host_device.h"
#include "core/kernels/math.h"

namespace trireme::core {

struct IdentityFunction {
  TRIREME_HOST_DEVICE float operator()(float x) const { return x; }
  TRIREME_HOST_DEVICE float derivative(float) const { return 1.0f; }
};

struct ReluFunction {
  // NaN stays NaN, as a step must be refused rather than repaired.
  TRIREME_HOST_DEVICE float operator()(float x) const { return x < 0.0f ? 0.0f : x; }
  TRIREME_HOST_DEVICE float derivative(float y) const { return y > 0.0f ? 1.0f : 0.0f; }
};

struct TanhFunction {
  TRIREME_HOST_DEVICE float operator()(float x) const { return fast_tanh(x); }
  TRIREME_HOST_DEVICE float derivative(float y) const { return 1.0f - y * y; }
};

struct SigmoidFunction {
  TRIREME_HOST_DEVICE float operator()(float x) const { return fast_sigmoid(x); }
  TRIREME_HOST_DEVICE float derivative(float y) const { return y * (1.0f - y); }
};

struct SiluFunction {
  TRIREME_HOST_DEVICE float operator()(float x) const { return x * fast_sigmoid(x); }
  // d(x s)/dx = s + x s (1 - s) = s (1 + x (1 - s))
  TRIREME_HOST_DEVICE float derivative(float x) const {
    const float s = fast_sigmoid(x);
    return s * (1.0f + x * (1.0f - s));
  }
};

struct GeluFunction {
  TRIREME_HOST_DEVICE float operator()(float x) const { return x * normal_at(x).cdf; }
  // d(x cdf)/dx = cdf + x pdf
  TRIREME_HOST_DEVICE float derivative(float x) const {
    const NormalPoint n = normal_at(x);
    return n.cdf + x * n.pdf;
  }
};

struct GeluTanhFunction {
  static constexpr float kSlope = 0.797884561f;  // sqrt(2 / pi)
  static constexpr float kCubic = 0.044715f;

  // (1 + tanh v) / 2 = sigmoid(2v), which keeps its digits where tanh v is near -1.
  TRIREME_HOST_DEVICE float operator()(float x) const {
    return x * fast_sigmoid(2.0f * kSlope * (x + kCubic * x * x * x));
  }
  TRIREME_HOST_DEVICE float derivative(float x) const {
    const float s = fast_sigmoid(2.0f * kSlope * (x + kCubic * x * x * x));
    const float inner = 2.0f * kSlope * (1.0f + 3.0f * kCubic * x * x);
    // Where the sigmoid is saturated x^2 may be infinite, and 0 times that is not 0.
    const float bend = x * s * (1.0f - s) * inner;
    return fabsf(x) > 16.0f ? s : s + bend;
  }
};

// Calls body(function) with the function object of `kind`. Inlined, so that a loop in `body` is
// compiled for the instruction set of the caller (core/cpu/simd.h).
template <typename Body>
[[gnu::always_inline]] inline auto with_activation(ActivationKind kind, const Body& body) {
  switch (kind) {
    case ActivationKind::kRelu:
      return body(ReluFunction{});
    case ActivationKind::kGelu:
      return body(GeluFunction{});
    case ActivationKind::kGeluTanh:
      return body(GeluTanhFunction{});
    case ActivationKind::kTanh:
      return body(TanhFunction{});
    case ActivationKind::kSigmoid:
      return body(SigmoidFunction{});
    case ActivationKind::kSilu:
      return body(SiluFunction{});
    case ActivationKind::kNone:
      break;
  }
  return body(IdentityFunction{});
}

}  // namespace trireme::core

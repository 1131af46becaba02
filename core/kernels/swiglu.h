// One element of SwiGLU and of its gradient, for host and device.
#pragma once

#include "core/kernels/math.h"

namespace trireme::core {

// silu(gate) up
TRIREME_HOST_DEVICE float swiglu(float gate, float up) { return gate * fast_sigmoid(gate) * up; }

struct SwiGluGradient {
  float gate;
  float up;
};

TRIREME_HOST_DEVICE SwiGluGradient swiglu_gradient(float dy, float gate, float up) {
  const float s = fast_sigmoid(gate);
  return {dy * up * (s * (1.0f + gate * (1.0f - s))), dy * (gate * s)};
}

}  // namespace trireme::core

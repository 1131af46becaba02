// The activations over arrays, vectorised: for ops of their own and for those that fuse one.
#pragma once

#include <cstdint>

#include "core/base/activation_kind.h"

namespace trireme::core {

// y[i] = f(x[i]).   x, y (count); y may be x
void activation_forward(ActivationKind kind, const float* x, float* y, int64_t count);
void activation_forward(ActivationKind kind, const float* x, float* y, int64_t count, int threads);

// dx[i] = dy[i] f'(.), from saved = x where needs_input_for_gradient(kind), else y.
//   dy, saved, dx (count); dx may be dy
void activation_backward(ActivationKind kind, const float* dy, const float* saved, float* dx,
                         int64_t count);

}  // namespace trireme::core

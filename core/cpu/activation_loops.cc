#include "core/cpu/activation_loops.h"

#include "core/cpu/parallel.h"
#include "core/cpu/simd.h"
#include "core/kernels/activation.h"

namespace trireme::core {
namespace {

// Inlined into each clone below, with its function object: see core/cpu/simd.h.
template <typename Function>
[[gnu::always_inline]] inline void forward_loop(Function f, const float* x, float* y, int64_t n) {
#pragma GCC ivdep  // y may be x itself, but never another part of it
  for (int64_t i = 0; i < n; ++i) y[i] = f(x[i]);
}

template <typename Function>
[[gnu::always_inline]] inline void backward_loop(Function f, const float* dy, const float* saved,
                                                 float* dx, int64_t n) {
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) dx[i] = dy[i] * f.derivative(saved[i]);
}

}  // namespace

TRIREME_SIMD void activation_forward(ActivationKind kind, const float* x, float* y, int64_t count) {
  with_activation(
      kind, [=](auto f) __attribute__((always_inline)) { forward_loop(f, x, y, count); });
}

void activation_forward(ActivationKind kind, const float* x, float* y, int64_t count, int threads) {
  constexpr int64_t kGrain = 1 << 14;  // elements below which a thread costs more than it saves
  parallel_for(threads, count, kGrain, [=](int64_t begin, int64_t end) {
    activation_forward(kind, x + begin, y + begin, end - begin);
  });
}

TRIREME_SIMD void activation_backward(ActivationKind kind, const float* dy, const float* saved,
                                      float* dx, int64_t count) {
  with_activation(
      kind, [=](auto f) __attribute__((always_inline)) { backward_loop(f, dy, saved, dx, count); });
}

}  // namespace trireme::core

#include "core/cpu/parallel.h"
#include "core/cpu/simd.h"
#include "core/kernels/swiglu.h"
#include "core/ops/cpu_kernel.h"
#include "core/ops/swiglu.h"

namespace trireme::core {
namespace {

TRIREME_SIMD void forward_row(const float* x, float* y, int64_t half) {
#pragma GCC ivdep
  for (int64_t i = 0; i < half; ++i) y[i] = swiglu(x[i], x[half + i]);
}

// dx may be x.
TRIREME_SIMD void backward_row(const float* dy, const float* x, float* dx, int64_t half) {
#pragma GCC ivdep
  for (int64_t i = 0; i < half; ++i) {
    const SwiGluGradient gradient = swiglu_gradient(dy[i], x[i], x[half + i]);
    dx[i] = gradient.gate;
    dx[half + i] = gradient.up;
  }
}

// Calls body(row) for the rows of a (rows, half) matrix.
template <typename Body>
void for_each_row(int threads, const ValueType& halves, const Body& body) {
  const int64_t half = halves.shape[-1];
  parallel_for(threads, halves.elements() / half, 1 + kElementwiseGrain / 4 / half,
               [&](int64_t begin, int64_t end) {
                 for (int64_t row = begin; row < end; ++row) body(row);
               });
}

}  // namespace

std::unique_ptr<Kernel> SwiGlu::cpu_kernel(const NodeTypes& types,
                                           const KernelContext& context) const {
  return make_kernel([type = types.outputs[0], threads = context.threads](const KernelArgs& args) {
    const int64_t half = type.shape[-1];
    const float* x = args.in<float>(0);
    float* y = args.out<float>(0);
    for_each_row(threads, type,
                 [=](int64_t row) { forward_row(x + row * 2 * half, y + row * half, half); });
  });
}

std::unique_ptr<Kernel> SwiGluGrad::cpu_kernel(const NodeTypes& types,
                                               const KernelContext& context) const {
  return make_kernel([type = types.inputs[0], threads = context.threads](const KernelArgs& args) {
    const int64_t half = type.shape[-1];
    const float *dy = args.in<float>(0), *x = args.in<float>(1);
    float* dx = args.out<float>(0);
    for_each_row(threads, type, [=](int64_t row) {
      backward_row(dy + row * half, x + row * 2 * half, dx + row * 2 * half, half);
    });
  });
}

}  // namespace trireme::core

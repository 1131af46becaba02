#include "core/cuda/elementwise.cuh"
#include "core/cuda/function_kernel.h"
#include "core/kernels/activation.h"
#include "core/ops/activation.h"

namespace trireme::core {
namespace {

template <typename Function>
struct Backward {
  Function function;
  __device__ float operator()(float dy, float saved) const {
    return dy * function.derivative(saved);
  }
};

}  // namespace

std::unique_ptr<Kernel> Activation::cuda_kernel(const NodeTypes& types,
                                                const KernelContext&) const {
  return with_activation(kind_, [n = types.outputs[0].elements()](auto function) {
    return make_function_kernel([n, function](const KernelArgs& args) {
      elementwise(function, args.out<float>(0), n, args.stream, args.in<float>(0));
    });
  });
}

std::unique_ptr<Kernel> ActivationGrad::cuda_kernel(const NodeTypes& types,
                                                    const KernelContext&) const {
  return with_activation(kind_, [n = types.outputs[0].elements()](auto function) {
    return make_function_kernel([n, function](const KernelArgs& args) {
      elementwise(Backward<decltype(function)>{function}, args.out<float>(0), n, args.stream,
                  args.in<float>(0), args.in<float>(1));
    });
  });
}

}  // namespace trireme::core

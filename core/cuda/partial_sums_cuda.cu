#include "core/cuda/launch.h"
//
#include "core/cuda/partial_sums.h"
#include "core/cuda/reduce.cuh"

namespace trireme::core {
namespace {

constexpr int kThreads = 256;

__global__ void __launch_bounds__(kThreads)
    add_pairs(const double* pairs, int count, double* sums, bool accumulate) {
  double term = 0, weight = 0;
  for (int i = static_cast<int>(threadIdx.x); i < count; i += kThreads) {
    term += pairs[2 * i];
    weight += pairs[2 * i + 1];
  }
  term = block_reduce<kThreads>(term, 0.0, Plus{});
  weight = block_reduce<kThreads>(weight, 0.0, Plus{});
  if (threadIdx.x != 0) return;
  sums[0] = accumulate ? sums[0] + term : term;
  sums[1] = accumulate ? sums[1] + weight : weight;
}

}  // namespace

void add_partial_sums(const double* pairs, int count, double* sums, bool accumulate,
                      Stream stream) {
  launch(add_pairs, dim3(1), dim3(kThreads), stream, pairs, count, sums, accumulate);
}

}  // namespace trireme::core

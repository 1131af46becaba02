// Reductions over a warp and a block. Trees are fixed, so results do not depend on timing.
#pragma once

#include "core/cuda/launch.h"

namespace trireme::core {

constexpr unsigned kWholeWarp = 0xffffffffu;

__device__ inline int shuffle_xor(int v, int lanes) {
  return __shfl_xor_sync(kWholeWarp, v, lanes);
}
__device__ inline float shuffle_xor(float v, int lanes) {
  return __shfl_xor_sync(kWholeWarp, v, lanes);
}
__device__ inline double shuffle_xor(double v, int lanes) {
  return __shfl_xor_sync(kWholeWarp, v, lanes);
}

struct Plus {
  template <typename T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};

// op over the warp's lanes, in every lane alike; op is commutative. T needs a shuffle_xor.
template <typename T, typename Op>
__device__ T warp_reduce(T v, const Op& op) {
  for (int lanes = 16; lanes > 0; lanes /= 2) v = op(v, shuffle_xor(v, lanes));
  return v;
}

// op over the block's threads, in every thread alike. blockDim.x is kThreads, a multiple of 32.
template <int kThreads, typename T, typename Op>
__device__ T block_reduce(T v, T identity, const Op& op) {
  constexpr int kWarps = kThreads / 32;
  TRIREME_SHARED(T, of_warp, kWarps);
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  v = warp_reduce(v, op);
  __syncthreads();  // the previous call's readers are done
  if (lane == 0) of_warp[warp] = v;
  __syncthreads();
  return warp_reduce(lane < kWarps ? of_warp[lane] : identity, op);
}

}  // namespace trireme::core

// Four floats at a time: 16-byte loads and stores where addresses allow them.
#pragma once

#include "core/cuda/launch.h"

namespace trireme::core {

template <typename... Pointers>
bool all_aligned16(Pointers... pointers) {
  return ((reinterpret_cast<uintptr_t>(pointers) % 16 == 0) && ...);
}

// f of each of four lanes.
template <typename F, typename... Vectors>
__device__ float4 map4(const F& f, Vectors... v) {
  return make_float4(f(v.x...), f(v.y...), f(v.z...), f(v.w...));
}

__device__ inline float4 load4(const float* pointer, int64_t vector) {
  return reinterpret_cast<const float4*>(pointer)[vector];
}

__device__ inline void store4(float* pointer, int64_t vector, float4 value) {
  reinterpret_cast<float4*>(pointer)[vector] = value;
}

// Calls body(i, x[i]) for the elements i = lane, lane + lanes, ... of x[0, n), four neighbours in
// turn where x is aligned; every element falls to exactly one lane.
template <typename Body>
__device__ void for_each_of_row(const float* x, int64_t n, int lane, int lanes, const Body& body) {
  int64_t done = 0;
  if (reinterpret_cast<uintptr_t>(x) % 16 == 0) {
    for (int64_t v = lane; v < n / 4; v += lanes) {
      const float4 four = load4(x, v);
      body(4 * v, four.x);
      body(4 * v + 1, four.y);
      body(4 * v + 2, four.z);
      body(4 * v + 3, four.w);
    }
    done = n / 4 * 4;
  }
  for (int64_t i = done + lane; i < n; i += lanes) body(i, x[i]);
}

// y[i] = f(i, x[i]) for the same elements by the same lanes; y may be x.
template <typename F>
__device__ void map_row(const float* x, float* y, int64_t n, int lane, int lanes, const F& f) {
  int64_t done = 0;
  if (reinterpret_cast<uintptr_t>(x) % 16 == 0 && reinterpret_cast<uintptr_t>(y) % 16 == 0) {
    for (int64_t v = lane; v < n / 4; v += lanes) {
      const float4 four = load4(x, v);
      store4(y, v,
             make_float4(f(4 * v, four.x), f(4 * v + 1, four.y), f(4 * v + 2, four.z),
                         f(4 * v + 3, four.w)));
    }
    done = n / 4 * 4;
  }
  for (int64_t i = done + lane; i < n; i += lanes) y[i] = f(i, x[i]);
}

// Rows of several arrays at once, an absent (null) one counting as zeros. `fours`: n is divisible
// by four and every row begins at a multiple of 16 bytes. Every element falls to exactly one lane,
// to the same one in each call.
__device__ inline float4 load4_or_zero(const float* row, int64_t vector) {
  return row == nullptr ? make_float4(0.0f, 0.0f, 0.0f, 0.0f) : load4(row, vector);
}

// This lane's part of the sum of f(x[i]...) over the row.
template <typename F, typename... X>
__device__ float sum_over_row(bool fours, int64_t n, int lane, int lanes, const F& f,
                              const X*... x) {
  float sum = 0;
  if (fours) {
    for (int64_t v = lane; v < n / 4; v += lanes) {
      const float4 four = map4(f, load4_or_zero(x, v)...);
      sum += (four.x + four.y) + (four.z + four.w);
    }
    return sum;
  }
  for (int64_t i = lane; i < n; i += lanes) sum += f((x == nullptr ? 0.0f : x[i])...);
  return sum;
}

// y[i] = f(x[i]...); y may be one of x.
template <typename F, typename... X>
__device__ void map_over_row(bool fours, float* y, int64_t n, int lane, int lanes, const F& f,
                             const X*... x) {
  if (fours) {
    TRIREME_NO_UNROLL
    for (int64_t v = lane; v < n / 4; v += lanes) store4(y, v, map4(f, load4_or_zero(x, v)...));
    return;
  }
  TRIREME_NO_UNROLL
  for (int64_t i = lane; i < n; i += lanes) y[i] = f((x == nullptr ? 0.0f : x[i])...);
}

}  // namespace trireme::core

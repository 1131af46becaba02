// The threads that share a row: a warp for short rows, the block for long ones.
//
// A kernel over rows is a template over the group and walks
//   for (int64_t row = Group::first_row(); row < rows; row += Group::row_stride())
// so that every thread of a group sees the same rows.
#pragma once

#include "core/cuda/reduce.cuh"

namespace trireme::core {

constexpr int kRowThreads = 256;
constexpr int64_t kLongestWarpRow = 1024;  // elements: 32 loads a lane

struct WarpRow {
  static constexpr int kLanes = 32;
  static constexpr int kRowsPerBlock = kRowThreads / kLanes;
  __device__ static int lane() { return threadIdx.x % kLanes; }
  __device__ static int64_t first_row() {
    return int64_t{blockIdx.x} * kRowsPerBlock + threadIdx.x / kLanes;
  }
  __device__ static int64_t row_stride() { return int64_t{gridDim.x} * kRowsPerBlock; }
  template <typename T, typename Op>
  __device__ static T reduce(T v, T, const Op& op) {
    return warp_reduce(v, op);
  }
};

struct BlockRow {
  static constexpr int kLanes = kRowThreads;
  static constexpr int kRowsPerBlock = 1;
  __device__ static int lane() { return static_cast<int>(threadIdx.x); }
  __device__ static int64_t first_row() { return blockIdx.x; }
  __device__ static int64_t row_stride() { return gridDim.x; }
  template <typename T, typename Op>
  __device__ static T reduce(T v, T identity, const Op& op) {
    return block_reduce<kRowThreads>(v, identity, op);
  }
};

// Calls body(group) with the group that suits rows of `width` elements.
template <typename Body>
void with_row_group(int64_t width, const Body& body) {
  if (width <= kLongestWarpRow)
    body(WarpRow{});
  else
    body(BlockRow{});
}

}  // namespace trireme::core

// The language of CUDA kernels, for a C++ compiler and without any header of CUDA's.
//
// core/cuda/launch.h includes this file where a kernel source is compiled as plain C++. A grid runs
// on the calling thread: blocks in turn, each thread of a block a fiber, barriers and shuffles as
// yields. What a GPU leaves undefined is an error here or differs between schedules:
//   - a barrier that not all threads of the block reach, at the same line, is a Fault
//   - a shuffle that reads a lane which does not take part is a Fault
//   - shared memory holds NaN at the start of each block, and an index outside it is a Fault
//   - a missing barrier shows as results that depend on the Schedule
// Only what our kernels use is here; an intrinsic that is missing does not compile.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <source_location>
#include <stdexcept>
#include <string>

#define __global__
#define __device__
#define __host__
#define __shared__ static
#define __launch_bounds__(...)
#define __forceinline__ inline

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
struct uint3 {
  unsigned x, y, z;
};
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(16) double2 {
  double x, y;
};
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline double2 make_double2(double x, double y) { return {x, y}; }

// Set before a fiber goes on; functions that yield are opaque, so no stale copy is kept.
inline uint3 threadIdx, blockIdx;
inline dim3 blockDim, gridDim;
constexpr int warpSize = 32;

namespace emulator {

// A kernel did what a GPU does not define.
struct Fault : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Which runnable thread goes on, and which block comes next. Forward lets the first warp run ahead
// as far as it can, backward the last one.
struct Schedule {
  enum class Order { kForward, kBackward, kRandom } order = Order::kForward;
  uint64_t seed = 0;
};
void set_schedule(Schedule schedule);

// Calls body() as every thread of the grid. Throws Fault, or what body throws.
void run_grid(dim3 grid, dim3 block, size_t shared_bytes, const std::function<void()>& body);

void* dynamic_shared();
// "thread (1, 0, 0) of block (2, 0, 0): what"
[[noreturn]] void fault(const std::string& what);

enum class WarpOp { kSync, kShuffle, kBallot };
// The calling lane gives `value` and waits for the lanes of `mask`; it gets the value of
// `source_lane`, or the mask of lanes that gave something else than 0.
uint64_t warp_exchange(WarpOp op, unsigned mask, uint64_t value, int source_lane,
                       std::source_location where);
int lane_of_caller();

// Bytes that every block finds filled with 0xFF.
class SharedMemory {
 protected:
  SharedMemory(void* data, size_t bytes);
};

template <typename T, int64_t kCount>
class SharedArray : SharedMemory {
 public:
  explicit SharedArray(const char* name) : SharedMemory(data_, sizeof data_), name_(name) {}

  T& operator[](int64_t i) {
    if (i < 0 || i >= kCount)
      fault(std::string(name_) + "[" + std::to_string(i) + "] of " + std::to_string(kCount));
    return data_[i];
  }

 private:
  T data_[kCount];
  const char* name_;
};

template <typename T>
T shuffle(unsigned mask, T value, int source_lane, std::source_location where) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8);
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  bits = warp_exchange(WarpOp::kShuffle, mask, bits, source_lane, where);
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

}  // namespace emulator

#define TRIREME_SHARED(type, name, count) static ::emulator::SharedArray<type, count> name(#name)
#define TRIREME_DYNAMIC_SHARED(type, name) \
  type* const name = static_cast<type*>(::emulator::dynamic_shared())

void __syncthreads(std::source_location where = std::source_location::current());

inline void __syncwarp(unsigned mask = 0xffffffffu,
                       std::source_location where = std::source_location::current()) {
  emulator::warp_exchange(emulator::WarpOp::kSync, mask, 0, 0, where);
}

inline unsigned __ballot_sync(unsigned mask, int predicate,
                              std::source_location where = std::source_location::current()) {
  return static_cast<unsigned>(
      emulator::warp_exchange(emulator::WarpOp::kBallot, mask, predicate != 0, 0, where));
}

template <typename T>
T __shfl_sync(unsigned mask, T value, int lane,
              std::source_location where = std::source_location::current()) {
  return emulator::shuffle(mask, value, lane & 31, where);
}

template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int lanes,
                  std::source_location where = std::source_location::current()) {
  return emulator::shuffle(mask, value, emulator::lane_of_caller() ^ lanes, where);
}

// A lane whose source lies outside the warp keeps its own value, as CUDA says.
template <typename T>
T __shfl_down_sync(unsigned mask, T value, int lanes,
                   std::source_location where = std::source_location::current()) {
  const int lane = emulator::lane_of_caller();
  return emulator::shuffle(mask, value, lane + lanes < 32 ? lane + lanes : lane, where);
}

template <typename T>
T __shfl_up_sync(unsigned mask, T value, int lanes,
                 std::source_location where = std::source_location::current()) {
  const int lane = emulator::lane_of_caller();
  return emulator::shuffle(mask, value, lane >= lanes ? lane - lanes : lane, where);
}

template <typename T>
T __ldg(const T* address) {
  return *address;
}

// Of whole numbers only: a float sum would depend on the order.
inline int atomicAdd(int* address, int value) {
  const int old = *address;
  *address += value;
  return old;
}
inline unsigned atomicAdd(unsigned* address, unsigned value) {
  const unsigned old = *address;
  *address += value;
  return old;
}

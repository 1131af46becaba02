// The emulator itself: that it runs right kernels, and that it notices wrong ones.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "core/cuda/launch.h"
#include "core/cuda/reduce.cuh"
#include "emulator_device.h"

namespace trireme::test {
namespace {

using core::launch;
using testing::HasSubstr;

constexpr int kThreads = 96;

// The results of one kernel under every schedule.
template <typename Launch>
std::vector<std::vector<float>> under_all_schedules(size_t outputs, const Launch& run) {
  std::vector<std::vector<float>> results;
  for (const emulator::Schedule schedule : all_schedules()) {
    emulator::set_schedule(schedule);
    results.emplace_back(outputs, -1.0f);
    run(results.back().data());
  }
  return results;
}

template <typename Run>
std::string fault_of(const Run& run) {
  try {
    run();
  } catch (const emulator::Fault& fault) {
    return fault.what();
  }
  return "no fault";
}

void write_indices(int* out, int columns) {
  const int x = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  const int y = static_cast<int>(blockIdx.y * blockDim.y + threadIdx.y);
  out[y * columns + x] = 1000 * y + x;
}

TEST(Emulator, EveryThreadOfEveryBlockRunsOnce) {
  for (const emulator::Schedule schedule : all_schedules()) {
    emulator::set_schedule(schedule);
    std::vector<int> out(15 * 12, -1);
    launch(write_indices, dim3(5, 3), dim3(3, 4), emulator_stream(), out.data(), 15);
    for (int y = 0; y < 12; ++y)
      for (int x = 0; x < 15; ++x) ASSERT_EQ(out[y * 15 + x], 1000 * y + x);
  }
}

void reverse_block(float* out, bool with_barrier) {
  TRIREME_SHARED(float, tile, kThreads);
  const int i = static_cast<int>(threadIdx.x);
  tile[i] = static_cast<float>(i);
  if (with_barrier) __syncthreads();
  out[i] = tile[kThreads - 1 - i];
}

TEST(Emulator, BarriersOrderSharedMemory) {
  const auto results = under_all_schedules(kThreads, [](float* out) {
    launch(reverse_block, dim3(1), dim3(kThreads), emulator_stream(), out, true);
  });
  for (const auto& result : results)
    for (int i = 0; i < kThreads; ++i) EXPECT_EQ(result[i], kThreads - 1 - i);
}

TEST(Emulator, AMissingBarrierShows) {
  const auto results = under_all_schedules(kThreads, [](float* out) {
    launch(reverse_block, dim3(1), dim3(kThreads), emulator_stream(), out, false);
  });
  const auto is_right = [](const std::vector<float>& result) {
    for (int i = 0; i < kThreads; ++i)
      if (result[i] != kThreads - 1 - i) return false;
    return true;
  };
  for (const auto& result : results) EXPECT_FALSE(is_right(result));
  EXPECT_NE(results[0][0], results[1][0]);  // forward read what nobody had written
}

// The mutant that a single order can hide: each warp's leader writes, warp 0 reads.
void sum_warps(float* out, bool with_barrier) {
  TRIREME_SHARED(float, of_warp, kThreads / 32);
  const int warp = static_cast<int>(threadIdx.x) / 32;
  if (threadIdx.x % 32 == 0) of_warp[warp] = static_cast<float>(warp + 1);
  if (with_barrier) __syncthreads();
  if (threadIdx.x == 0) *out = of_warp[0] + of_warp[1] + of_warp[2];
}

TEST(Emulator, ARaceThatOneOrderHidesShowsInAnother) {
  const auto run = [](bool with_barrier) {
    return under_all_schedules(1, [&](float* out) {
      launch(sum_warps, dim3(1), dim3(kThreads), emulator_stream(), out, with_barrier);
    });
  };
  for (const auto& result : run(true)) EXPECT_EQ(result[0], 6);
  const auto racy = run(false);
  EXPECT_EQ(racy[1][0], 6);             // backward: the readers come last
  EXPECT_TRUE(std::isnan(racy[0][0]));  // forward: the reader comes first
}

void reductions(const int* in, int* out) {
  const int i = static_cast<int>(threadIdx.x);
  const int lane = i % 32;
  const int warp_sum = core::warp_reduce(in[i], core::Plus{});
  const int block_sum = core::block_reduce<kThreads>(in[i], 0, core::Plus{});
  const int down = __shfl_down_sync(core::kWholeWarp, in[i], 3);
  const int first = __shfl_sync(core::kWholeWarp, in[i], 0);
  const unsigned odd = __ballot_sync(core::kWholeWarp, in[i] & 1);
  const int low_half = lane < 16 ? __shfl_xor_sync(0xffffu, in[i], 1) : -1;
  int* mine = out + 6 * i;
  mine[0] = warp_sum, mine[1] = block_sum, mine[2] = down, mine[3] = first;
  mine[4] = static_cast<int>(odd), mine[5] = low_half;
}

TEST(Emulator, WarpFunctionsExchangeAsCudaSays) {
  std::vector<int> in(kThreads);
  for (int i = 0; i < kThreads; ++i) in[i] = i * i + 7;
  for (const emulator::Schedule schedule : all_schedules()) {
    emulator::set_schedule(schedule);
    std::vector<int> out(6 * kThreads, -2);
    launch(reductions, dim3(1), dim3(kThreads), emulator_stream(), in.data(), out.data());
    for (int i = 0; i < kThreads; ++i) {
      const int lane = i % 32, base = i - lane;
      const int* mine = out.data() + 6 * i;
      unsigned odd = 0;
      for (int k = 0; k < 32; ++k) odd |= static_cast<unsigned>(in[base + k] & 1) << k;
      EXPECT_EQ(mine[0], std::accumulate(&in[base], &in[base] + 32, 0));
      EXPECT_EQ(mine[1], std::accumulate(in.begin(), in.end(), 0));
      EXPECT_EQ(mine[2], in[lane + 3 < 32 ? i + 3 : i]);
      EXPECT_EQ(mine[3], in[base]);
      EXPECT_EQ(mine[4], static_cast<int>(odd));
      EXPECT_EQ(mine[5], lane < 16 ? in[base + (lane ^ 1)] : -1);
    }
  }
}

void barrier_for_some(bool others_wait_elsewhere) {
  if (threadIdx.x < 40)
    __syncthreads();
  else if (others_wait_elsewhere)
    __syncthreads();
}

TEST(Emulator, DivergentBarriersAreFaults) {
  for (const emulator::Schedule schedule : all_schedules()) {
    emulator::set_schedule(schedule);
    const auto run = [](bool elsewhere) {
      return fault_of(
          [&] { launch(barrier_for_some, dim3(2), dim3(kThreads), emulator_stream(), elsewhere); });
    };
    EXPECT_THAT(run(false), HasSubstr("divergent barrier in block"));
    EXPECT_THAT(run(false), HasSubstr("40 at the barrier of"));
    EXPECT_THAT(run(false), HasSubstr("56 exited"));
    EXPECT_THAT(run(true), HasSubstr("40 at the barrier of"));
    EXPECT_THAT(run(true), HasSubstr("56 at the barrier of"));
  }
}

void shuffle_by_half(float* out) {
  if (threadIdx.x < 16) out[threadIdx.x] = __shfl_xor_sync(core::kWholeWarp, 1.0f, 1);
}

void shuffle_from_outside(float* out) {
  if (threadIdx.x < 16) out[threadIdx.x] = __shfl_sync(0xffffu, 1.0f, 20);
}

TEST(Emulator, ShufflesWithMissingLanesAreFaults) {
  std::vector<float> out(32);
  emulator::set_schedule({});
  EXPECT_THAT(fault_of([&] {
                launch(shuffle_from_outside, dim3(1), dim3(32), emulator_stream(), out.data());
              }),
              HasSubstr("shuffle from lane 20, which takes no part"));
  // The other half has exited: its lanes are not waited for, and nobody reads them.
  launch(shuffle_by_half, dim3(1), dim3(32), emulator_stream(), out.data());
  EXPECT_EQ(out[15], 1.0f);
}

void write_static_shared(int index) {
  TRIREME_SHARED(float, tile, 32);
  if (threadIdx.x == 0) tile[index] = 1;
}

TEST(Emulator, IndicesOutsideStaticSharedMemoryAreFaults) {
  const auto run = [](int index) {
    return fault_of(
        [&] { launch(write_static_shared, dim3(1), dim3(32), emulator_stream(), index); });
  };
  EXPECT_EQ(run(31), "no fault");
  EXPECT_THAT(run(32), HasSubstr("tile[32] of 32"));
  EXPECT_THAT(run(-1), HasSubstr("tile[-1] of 32"));
}

void write_dynamic_shared(int index, float* out) {
  TRIREME_DYNAMIC_SHARED(float, tile);
  tile[threadIdx.x] = static_cast<float>(threadIdx.x);
  __syncthreads();
  if (threadIdx.x == 0) tile[index] = 5;
  __syncthreads();
  out[threadIdx.x] = tile[threadIdx.x];
}

void run_dynamic(int index) {
  std::vector<float> out(33);
  launch(write_dynamic_shared, dim3(1), dim3(33), 33 * sizeof(float), emulator_stream(), index,
         out.data());
  EXPECT_EQ(out[32], index == 32 ? 5 : 32);
}

TEST(Emulator, WritesOutsideDynamicSharedMemoryAreCaught) {
  run_dynamic(32);
#ifdef __SANITIZE_ADDRESS__
  EXPECT_DEATH(run_dynamic(33), "use-after-poison");
  EXPECT_DEATH(run_dynamic(-1), "use-after-poison");
#else
  EXPECT_THAT(fault_of([] { run_dynamic(33); }), HasSubstr("wrote outside its dynamic shared"));
  EXPECT_THAT(fault_of([] { run_dynamic(-1); }), HasSubstr("wrote outside its dynamic shared"));
#endif
}

void accumulate_in_shared(float* out) {
  TRIREME_SHARED(float, sum, 1);
  if (threadIdx.x == 0) sum[0] += 1;  // nobody has set it
  __syncthreads();
  out[threadIdx.x] = sum[0];
}

TEST(Emulator, SharedMemoryStartsAsNan) {
  std::vector<float> out(32);
  launch(accumulate_in_shared, dim3(2), dim3(32), emulator_stream(), out.data());
  EXPECT_TRUE(std::isnan(out[0]));
}

void do_nothing() {}

TEST(Emulator, ImpossibleLaunchesAreRefusedAndEmptyGridsDoNothing) {
  const auto run = [](dim3 grid, dim3 block, size_t shared) {
    return fault_of([&] { launch(do_nothing, grid, block, shared, emulator_stream()); });
  };
  EXPECT_THAT(run(dim3(1), dim3(1025), 0), HasSubstr("1025 threads a block"));
  EXPECT_THAT(run(dim3(1), dim3(32), 49 << 10), HasSubstr("shared memory"));
  EXPECT_EQ(run(dim3(0), dim3(32), 0), "no fault");
  EXPECT_EQ(run(dim3(2), dim3(1024), 48 << 10), "no fault");
}

}  // namespace
}  // namespace trireme::test

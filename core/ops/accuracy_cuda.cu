#include "core/cuda/function_kernel.h"
#include "core/cuda/partial_sums.h"
#include "core/cuda/row_group.cuh"
#include "core/cuda/vector4.cuh"
#include "core/kernels/softmax.h"
#include "core/ops/accuracy.h"

namespace trireme::core {

// A candidate for the row's largest element.
struct Largest {
  float value;
  int index;
};

__device__ inline Largest shuffle_xor(Largest v, int lanes) {
  return {shuffle_xor(v.value, lanes), __shfl_xor_sync(kWholeWarp, v.index, lanes)};
}

namespace {

struct Rows {
  const float* x;         // (rows, classes)
  const int32_t* labels;  // (rows)
  const float* weight;    // (samples), or null
  int64_t rows, classes, rows_per_sample;
  int32_t ignore_index;
};

constexpr int kNone = 0x7fffffff;

// The first of equals; anything is larger than nothing.
struct Larger {
  __device__ Largest operator()(Largest a, Largest b) const {
    const bool take_b = b.index != kNone && (a.index == kNone || b.value > a.value ||
                                             (b.value == a.value && b.index < a.index));
    return take_b ? b : a;
  }
};

template <typename Group>
__device__ int index_of_largest(const float* x, int64_t n) {
  Largest own{0.0f, kNone};
  for_each_of_row(x, n, Group::lane(), Group::kLanes, [&](int64_t i, float v) {
    own = Larger{}(own, Largest{v, static_cast<int>(i)});
  });
  return Group::reduce(own, Largest{0.0f, kNone}, Larger{}).index;
}

// One (weight of the right rows, weight of all) pair a block.
template <typename Group>
__global__ void __launch_bounds__(kRowThreads) count_right(Rows in, double* pairs) {
  double right = 0, all = 0;
  for (int64_t row = Group::first_row(); row < in.rows; row += Group::row_stride()) {
    const int best = index_of_largest<Group>(in.x + row * in.classes, in.classes);
    const float w = row_weight(in.weight, row, in.rows_per_sample);
    const int32_t label = in.labels[row];
    if (Group::lane() != 0 ||
        classify_row(label, w, in.classes, in.ignore_index) == RowKind::kIgnored)
      continue;
    if (best == label) right += w;
    all += w;
  }
  right = block_reduce<kRowThreads>(right, 0.0, Plus{});
  all = block_reduce<kRowThreads>(all, 0.0, Plus{});
  if (threadIdx.x != 0) return;
  pairs[2 * blockIdx.x] = right;
  pairs[2 * blockIdx.x + 1] = all;
}

}  // namespace

std::unique_ptr<Kernel> Accuracy::cuda_kernel(const NodeTypes& types, const KernelContext&) const {
  const Shape& x = types.inputs[0].shape;
  const int64_t rows = types.inputs[1].elements();
  Rows in{nullptr, nullptr, nullptr, rows, x[-1], rows / std::max<int64_t>(x[0], 1), ignore_index_};
  return make_function_kernel([in](const KernelArgs& args) mutable {
    in.x = args.in<float>(0);
    in.labels = args.in<int32_t>(1);
    in.weight = args.in<float>(2);
    with_row_group(in.classes, [&](auto group) {
      using Group = decltype(group);
      const dim3 grid = blocks_for(in.rows, Group::kRowsPerBlock, kPartialSumBlocks);
      double* pairs = static_cast<double*>(args.workspace);
      launch(count_right<Group>, grid, dim3(kRowThreads), args.stream, in, pairs);
      add_partial_sums(pairs, static_cast<int>(grid.x), args.out<double>(0), args.accumulate,
                       args.stream);
    });
  });
}

}  // namespace trireme::core

#include "core/cuda/function_kernel.h"
#include "core/cuda/partial_sums.h"
#include "core/cuda/row_group.cuh"
#include "core/cuda/vector4.cuh"
#include "core/kernels/softmax.h"
#include "core/ops/classes.h"
#include "core/ops/softmax_cross_entropy.h"

namespace trireme::core {

__device__ inline SumExp shuffle_xor(SumExp v, int lanes) {
  return {shuffle_xor(v.max, lanes), shuffle_xor(v.sum, lanes)};
}

namespace {

struct Merge {
  __device__ SumExp operator()(SumExp a, SumExp b) const { return merge(a, b); }
};

struct Rows {
  const float* x;         // (rows, classes)
  const int32_t* labels;  // (rows)
  const float* weight;    // (samples), or null
  int64_t rows, classes, rows_per_sample;
  float smoothing;
  int32_t ignore_index;
};

// The lowest finite number, not -infinity, so that differences from it are never NaN.
constexpr float kLowest = -3.402823466e38f;

// Milakov and Gimelshein, Online normalizer calculation for softmax (2018): the row is read once.
template <typename Group>
__device__ SumExp sum_exp(const float* x, int64_t n) {
  SumExp own{kLowest, 0.0f};
  for_each_of_row(x, n, Group::lane(), Group::kLanes, [&](int64_t, float v) {
    if (v > own.max) {
      own.sum *= fast_exp(own.max - v);
      own.max = v;
    }
    own.sum += fast_exp(v - own.max);
  });
  return Group::reduce(own, SumExp{kLowest, 0.0f}, Merge{});
}

template <typename Group>
__device__ double sum_of_row(const float* x, int64_t n) {
  double own = 0;
  for_each_of_row(x, n, Group::lane(), Group::kLanes, [&](int64_t, float v) { own += v; });
  return Group::reduce(own, 0.0, Plus{});
}

// A label that is no class makes the loss NaN, so that the step is refused.
__device__ double row_loss(const Rows& in, int64_t row, RowKind kind, SumExp e, double sum_of_x) {
  if (kind == RowKind::kInvalid) return __builtin_nan("");
  const double lse = static_cast<double>(e.max) + log(static_cast<double>(e.sum));
  const double x_label = in.x[row * in.classes + in.labels[row]];
  return cross_entropy_row(lse, x_label, sum_of_x, in.classes, in.smoothing);
}

// lse of every row; one (loss, weight) pair a block.
template <typename Group>
__global__ void __launch_bounds__(kRowThreads) forward(Rows in, float* lse, double* pairs) {
  double loss = 0, weight = 0;
  for (int64_t row = Group::first_row(); row < in.rows; row += Group::row_stride()) {
    const float* x = in.x + row * in.classes;
    const SumExp e = sum_exp<Group>(x, in.classes);
    const double sum_of_x = in.smoothing == 0 ? 0.0 : sum_of_row<Group>(x, in.classes);
    if (Group::lane() != 0) continue;
    lse[row] = e.max + logf(e.sum);
    const float w = row_weight(in.weight, row, in.rows_per_sample);
    const RowKind kind = classify_row(in.labels[row], w, in.classes, in.ignore_index);
    if (kind == RowKind::kIgnored) continue;
    loss += static_cast<double>(w) * row_loss(in, row, kind, e, sum_of_x);
    weight += w;
  }
  loss = block_reduce<kRowThreads>(loss, 0.0, Plus{});
  weight = block_reduce<kRowThreads>(weight, 0.0, Plus{});
  if (threadIdx.x != 0) return;
  pairs[2 * blockIdx.x] = loss;
  pairs[2 * blockIdx.x + 1] = weight;
}

template <typename Group>
__global__ void __launch_bounds__(kRowThreads)
    backward(Rows in, const float* lse, float seed, float* dx) {
  const float uniform_part = in.smoothing / static_cast<float>(in.classes);
  for (int64_t row = Group::first_row(); row < in.rows; row += Group::row_stride()) {
    const float w = row_weight(in.weight, row, in.rows_per_sample);
    const int32_t label = in.labels[row];
    const RowKind kind = classify_row(label, w, in.classes, in.ignore_index);
    const float scale = kind == RowKind::kInvalid ? __builtin_nanf("") : seed * w;
    const float row_lse = lse[row];
    map_row(in.x + row * in.classes, dx + row * in.classes, in.classes, Group::lane(),
            Group::kLanes, [&](int64_t c, float x) {
              return kind == RowKind::kIgnored
                         ? 0.0f
                         : cross_entropy_gradient(x, row_lse, c == label, uniform_part,
                                                  1.0f - in.smoothing, scale);
            });
  }
}

Rows rows_of(const NodeTypes& types, const SoftmaxCrossEntropyOptions& options) {
  const ClassRows size = class_rows(types);
  return {.x = nullptr,
          .labels = nullptr,
          .weight = nullptr,
          .rows = size.rows,
          .classes = size.classes,
          .rows_per_sample = size.rows_per_sample,
          .smoothing = options.label_smoothing,
          .ignore_index = options.ignore_index};
}

Rows bind(Rows rows, const KernelArgs& args, bool weighted) {
  rows.x = args.in<float>(0);
  rows.labels = args.in<int32_t>(1);
  rows.weight = weighted ? args.in<float>(2) : nullptr;
  return rows;
}

}  // namespace

std::unique_ptr<Kernel> SoftmaxCrossEntropy::cuda_kernel(const NodeTypes& types,
                                                         const KernelContext&) const {
  return make_function_kernel([rows = rows_of(types, options_),
                               weighted = types.inputs.size() > 2](const KernelArgs& args) {
    with_row_group(rows.classes, [&](auto group) {
      using Group = decltype(group);
      const dim3 grid = blocks_for(rows.rows, Group::kRowsPerBlock, kPartialSumBlocks);
      double* pairs = static_cast<double*>(args.workspace);
      launch(forward<Group>, grid, dim3(kRowThreads), args.stream, bind(rows, args, weighted),
             args.out<float>(1), pairs);
      add_partial_sums(pairs, static_cast<int>(grid.x), args.out<double>(0), args.accumulate,
                       args.stream);
    });
  });
}

std::unique_ptr<Kernel> SoftmaxCrossEntropyGrad::cuda_kernel(const NodeTypes& types,
                                                             const KernelContext&) const {
  return make_function_kernel(
      [rows = rows_of(types, options_), seed = seed_](const KernelArgs& args) {
        with_row_group(rows.classes, [&](auto group) {
          using Group = decltype(group);
          launch(backward<Group>, blocks_for(rows.rows, Group::kRowsPerBlock), dim3(kRowThreads),
                 args.stream, bind(rows, args, true), args.in<float>(3), seed, args.out<float>(0));
        });
      });
}

}  // namespace trireme::core

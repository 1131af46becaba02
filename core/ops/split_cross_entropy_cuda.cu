#include "core/cuda/function_kernel.h"
#include "core/cuda/partial_sums.h"
#include "core/cuda/row_group.cuh"
#include "core/cuda/vector4.cuh"
#include "core/kernels/softmax.h"
#include "core/kernels/split_softmax.h"
#include "core/ops/split_cross_entropy.h"

namespace trireme::core {
namespace {

// The lowest finite number, not -infinity, so that differences from it are never NaN.
constexpr float kLowestLogit = -3.402823466e38f;

struct MergeSums {
  __device__ SumExp operator()(SumExp a, SumExp b) const { return merge(a, b); }
};

struct FirstLargest {
  __device__ ArgmaxPart operator()(ArgmaxPart a, ArgmaxPart b) const {
    return b.max > a.max || (b.max == a.max && b.index < a.index) ? b : a;
  }
};

}  // namespace

__device__ inline SumExp shuffle_xor(SumExp v, int lanes) {
  return {shuffle_xor(v.max, lanes), shuffle_xor(v.sum, lanes)};
}
__device__ inline ArgmaxPart shuffle_xor(ArgmaxPart v, int lanes) {
  return {shuffle_xor(v.max, lanes), shuffle_xor(v.index, lanes)};
}

namespace {

template <typename Group>
__global__ void __launch_bounds__(kRowThreads)
    softmax_parts_kernel(const float* x, const int32_t* labels, int64_t rows, int64_t classes,
                         int64_t first, bool smoothed, SoftmaxPart* parts) {
  for (int64_t row = Group::first_row(); row < rows; row += Group::row_stride()) {
    SumExp own{kLowestLogit, 0.0f};
    double own_sum = 0;
    for_each_of_row(x + row * classes, classes, Group::lane(), Group::kLanes,
                    [&](int64_t, float v) {
                      if (v > own.max) {
                        own.sum *= fast_exp(own.max - v);
                        own.max = v;
                      }
                      own.sum += fast_exp(v - own.max);
                      own_sum += v;
                    });
    const SumExp e = Group::reduce(own, SumExp{kLowestLogit, 0.0f}, MergeSums{});
    const double sum = smoothed ? Group::reduce(own_sum, 0.0, Plus{}) : 0.0;
    if (Group::lane() != 0) continue;
    const int64_t label = labels[row] - first;
    parts[row] = {e.max + logf(e.sum),
                  label >= 0 && label < classes ? x[row * classes + label] : 0.0f,
                  static_cast<float>(sum)};
  }
}

template <typename Group>
__global__ void __launch_bounds__(kRowThreads)
    argmax_parts_kernel(const float* x, int64_t rows, int64_t classes, int64_t first,
                        ArgmaxPart* parts) {
  const ArgmaxPart none{-HUGE_VALF, static_cast<float>(first + classes)};
  for (int64_t row = Group::first_row(); row < rows; row += Group::row_stride()) {
    ArgmaxPart own = none;
    int not_numbers = 0;
    for_each_of_row(x + row * classes, classes, Group::lane(), Group::kLanes,
                    [&](int64_t c, float v) {
                      not_numbers += v == v ? 0 : 1;
                      own = FirstLargest{}(own, {v, static_cast<float>(first + c)});
                    });
    const ArgmaxPart best = Group::reduce(own, none, FirstLargest{});
    not_numbers = Group::reduce(not_numbers, 0, Plus{});
    if (Group::lane() == 0)
      parts[row] = not_numbers == 0 ? best : ArgmaxPart{__builtin_nanf(""), -1.0f};
  }
}

struct Labels {
  const int32_t* labels;  // (rows)
  const float* weight;    // (samples), or null
  int64_t rows, rows_per_sample, classes;
  int32_t ignore_index;

  __device__ float weight_of(int64_t row) const { return row_weight(weight, row, rows_per_sample); }
};

// Adds up weight x term(row) and the weights of the rows that count, one pair a block.
template <typename Term>
__device__ void sum_rows(const Labels& in, double* pairs, const Term& term) {
  double terms = 0, weights = 0;
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t row = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; row < in.rows; row += stride) {
    const float w = in.weight_of(row);
    const RowKind kind = classify_row(in.labels[row], w, in.classes, in.ignore_index);
    const double value = term(row, kind);
    if (kind == RowKind::kIgnored) continue;
    terms += static_cast<double>(w) * value;
    weights += w;
  }
  terms = block_reduce<kRowThreads>(terms, 0.0, Plus{});
  weights = block_reduce<kRowThreads>(weights, 0.0, Plus{});
  if (threadIdx.x != 0) return;
  pairs[2 * blockIdx.x] = terms;
  pairs[2 * blockIdx.x + 1] = weights;
}

__global__ void __launch_bounds__(kRowThreads)
    join_losses(Labels in, const SoftmaxPart* parts, int ranks, float smoothing, float* lse,
                double* pairs) {
  sum_rows(in, pairs, [&](int64_t row, RowKind kind) {
    const SoftmaxRow all = join_softmax_parts(parts, ranks, in.rows, row);
    lse[row] = static_cast<float>(all.lse);
    return kind == RowKind::kCounts
               ? cross_entropy_row(all.lse, all.x_label, all.sum_of_x, in.classes, smoothing)
               : static_cast<double>(__builtin_nan(""));
  });
}

__global__ void __launch_bounds__(kRowThreads)
    join_argmax(Labels in, const ArgmaxPart* parts, int ranks, double* pairs) {
  sum_rows(in, pairs, [&](int64_t row, RowKind kind) {
    return kind == RowKind::kCounts && label_is_argmax(parts, ranks, in.rows, row, in.labels[row])
               ? 1.0
               : 0.0;
  });
}

template <typename Group>
__global__ void __launch_bounds__(kRowThreads)
    split_backward(Labels in, const float* x, const float* lse, int64_t width, int64_t first,
                   float smoothing, float seed, float* dx) {
  const float uniform_part = smoothing / static_cast<float>(in.classes);
  for (int64_t row = Group::first_row(); row < in.rows; row += Group::row_stride()) {
    const float w = in.weight_of(row);
    const RowKind kind = classify_row(in.labels[row], w, in.classes, in.ignore_index);
    const float scale = kind == RowKind::kInvalid ? __builtin_nanf("") : seed * w;
    const int64_t label = in.labels[row] - first;
    const float row_lse = lse[row];
    map_row(x + row * width, dx + row * width, width, Group::lane(), Group::kLanes,
            [&](int64_t c, float v) {
              return kind == RowKind::kIgnored
                         ? 0.0f
                         : cross_entropy_gradient(v, row_lse, c == label, uniform_part,
                                                  1.0f - smoothing, scale);
            });
  }
}

Labels labels_of(const ValueType& labels, const ValueType& weight, int64_t classes,
                 int32_t ignore_index) {
  const int64_t rows = labels.elements();
  return {nullptr, nullptr,     rows, weight.present() ? rows / weight.elements() : 1,
          classes, ignore_index};
}

Labels bind(Labels in, const KernelArgs& args, int labels_at) {
  in.labels = args.in<int32_t>(labels_at);
  in.weight = args.in<float>(labels_at + 1);
  return in;
}

}  // namespace

std::unique_ptr<Kernel> SoftmaxParts::cuda_kernel(const NodeTypes& types,
                                                  const KernelContext&) const {
  return make_function_kernel([rows = types.inputs[1].elements(),
                               classes = types.inputs[0].shape[-1], first = slice_.first,
                               smoothed = options_.label_smoothing != 0](const KernelArgs& args) {
    with_row_group(classes, [&](auto group) {
      using Group = decltype(group);
      launch(softmax_parts_kernel<Group>, blocks_for(rows, Group::kRowsPerBlock), dim3(kRowThreads),
             args.stream, args.in<float>(0), args.in<int32_t>(1), rows, classes, first, smoothed,
             args.out<SoftmaxPart>(0));
    });
  });
}

std::unique_ptr<Kernel> SplitCrossEntropy::cuda_kernel(const NodeTypes& types,
                                                       const KernelContext&) const {
  const Labels in =
      labels_of(types.inputs[1], types.inputs[2], slice_.total, options_.ignore_index);
  const int ranks = static_cast<int>(types.inputs[3].elements() / 3 / in.rows);
  return make_function_kernel(
      [in, ranks, smoothing = options_.label_smoothing](const KernelArgs& args) {
        const dim3 grid = blocks_for(in.rows, kRowThreads, kPartialSumBlocks);
        auto* pairs = static_cast<double*>(args.workspace);
        launch(join_losses, grid, dim3(kRowThreads), args.stream, bind(in, args, 1),
               args.in<SoftmaxPart>(3), ranks, smoothing, args.out<float>(1), pairs);
        add_partial_sums(pairs, static_cast<int>(grid.x), args.out<double>(0), args.accumulate,
                         args.stream);
      });
}

std::unique_ptr<Kernel> SplitCrossEntropyGrad::cuda_kernel(const NodeTypes& types,
                                                           const KernelContext&) const {
  const Labels in =
      labels_of(types.inputs[1], types.inputs[2], slice_.total, options_.ignore_index);
  return make_function_kernel([in, width = types.inputs[0].shape[-1], first = slice_.first,
                               smoothing = options_.label_smoothing,
                               seed = seed_](const KernelArgs& args) {
    with_row_group(width, [&](auto group) {
      using Group = decltype(group);
      launch(split_backward<Group>, blocks_for(in.rows, Group::kRowsPerBlock), dim3(kRowThreads),
             args.stream, bind(in, args, 1), args.in<float>(0), args.in<float>(3), width, first,
             smoothing, seed, args.out<float>(0));
    });
  });
}

std::unique_ptr<Kernel> ArgmaxParts::cuda_kernel(const NodeTypes& types,
                                                 const KernelContext&) const {
  const int64_t classes = types.inputs[0].shape[-1];
  return make_function_kernel([classes, rows = types.inputs[0].elements() / classes,
                               first = slice_.first](const KernelArgs& args) {
    with_row_group(classes, [&](auto group) {
      using Group = decltype(group);
      launch(argmax_parts_kernel<Group>, blocks_for(rows, Group::kRowsPerBlock), dim3(kRowThreads),
             args.stream, args.in<float>(0), rows, classes, first, args.out<ArgmaxPart>(0));
    });
  });
}

std::unique_ptr<Kernel> SplitAccuracy::cuda_kernel(const NodeTypes& types,
                                                   const KernelContext&) const {
  const Labels in = labels_of(types.inputs[0], types.inputs[1], classes_, ignore_index_);
  const int ranks = static_cast<int>(types.inputs[2].elements() / 2 / in.rows);
  return make_function_kernel([in, ranks](const KernelArgs& args) {
    const dim3 grid = blocks_for(in.rows, kRowThreads, kPartialSumBlocks);
    auto* pairs = static_cast<double*>(args.workspace);
    launch(join_argmax, grid, dim3(kRowThreads), args.stream, bind(in, args, 0),
           args.in<ArgmaxPart>(2), ranks, pairs);
    add_partial_sums(pairs, static_cast<int>(grid.x), args.out<double>(0), args.accumulate,
                     args.stream);
  });
}

}  // namespace trireme::core

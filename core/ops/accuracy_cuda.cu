#include "core/cuda/function_kernel.h"
#include "core/cuda/partial_sums.h"
#include "core/cuda/row_group.cuh"
#include "core/cuda/vector4.cuh"
#include "core/kernels/softmax.h"
#include "core/ops/accuracy.h"
#include "core/ops/classes.h"

namespace trireme::core {

namespace {

struct Rows {
  const float* x;         // (rows, classes)
  const int32_t* labels;  // (rows)
  const float* weight;    // (samples), or null
  int64_t rows, classes, rows_per_sample;
  int32_t ignore_index;
};

// Logits that keep `label` from being the first of the largest; a NaN always does.
template <typename Group>
__device__ int count_rivals(const float* x, int64_t classes, int64_t label) {
  const float label_logit = x[label];
  int own = 0;
  for_each_of_row(x, classes, Group::lane(), Group::kLanes, [&](int64_t c, float v) {
    const bool below = c < label ? v < label_logit : v <= label_logit;
    own += below ? 0 : 1;
  });
  return Group::reduce(own, 0, Plus{});
}

// One (weight of the right rows, weight of all) pair a block.
template <typename Group>
__global__ void __launch_bounds__(kRowThreads) count_right(Rows in, double* pairs) {
  double right = 0, all = 0;
  for (int64_t row = Group::first_row(); row < in.rows; row += Group::row_stride()) {
    const float w = row_weight(in.weight, row, in.rows_per_sample);
    const int32_t label = in.labels[row];
    const RowKind kind = classify_row(label, w, in.classes, in.ignore_index);
    if (kind == RowKind::kIgnored) continue;
    // Every thread of the group takes the same branch.
    const bool is_right = kind == RowKind::kCounts &&
                          count_rivals<Group>(in.x + row * in.classes, in.classes, label) == 0;
    if (Group::lane() != 0) continue;
    if (is_right) right += w;
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
  const ClassRows size = class_rows(types);
  Rows in{nullptr, nullptr, nullptr, size.rows, size.classes, size.rows_per_sample, ignore_index_};
  return make_function_kernel(
      [in, weighted = types.inputs.size() > 2](const KernelArgs& args) mutable {
        in.x = args.in<float>(0);
        in.labels = args.in<int32_t>(1);
        in.weight = weighted ? args.in<float>(2) : nullptr;
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

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/cpu/parallel.h"
#include "core/cpu/simd.h"
#include "core/kernels/softmax.h"
#include "core/ops/classes.h"
#include "core/ops/cpu_kernel.h"
#include "core/ops/loss_sums.h"
#include "core/ops/softmax_cross_entropy.h"

namespace trireme::core {
namespace {

constexpr int kLanes = 16;

// What one pass over a row leaves: its log-sum-exp and, for smoothing, the sum of its logits.
struct RowSums {
  double lse;
  double logits;
};

// The last, incomplete vector of a row, filled up with what adds nothing to a max or a sum.
struct Tail {
  float lanes[kLanes];
};

Tail tail_of(const float* x, int64_t count) {
  Tail tail;
  for (int64_t k = 0; k < kLanes; ++k)
    tail.lanes[k] = k < count ? x[k] : -std::numeric_limits<float>::infinity();
  return tail;
}

// Lanes side by side, so that the compiler need not reorder a sum to vectorise it.
TRIREME_SIMD RowSums sum_row(const float* x, int64_t classes, bool with_logits) {
  const int64_t whole = classes / kLanes * kLanes;
  const Tail tail = tail_of(x + whole, classes - whole);
  float top[kLanes];
  for (int k = 0; k < kLanes; ++k) top[k] = tail.lanes[k];
  for (int64_t c = 0; c < whole; c += kLanes)
    for (int k = 0; k < kLanes; ++k) top[k] = x[c + k] > top[k] ? x[c + k] : top[k];
  float max = top[0];
  for (int k = 1; k < kLanes; ++k) max = top[k] > max ? top[k] : max;

  float sums[kLanes];
  for (int k = 0; k < kLanes; ++k) sums[k] = fast_exp(tail.lanes[k] - max);
  for (int64_t c = 0; c < whole; c += kLanes)
    for (int k = 0; k < kLanes; ++k) sums[k] += fast_exp(x[c + k] - max);
  double sum = 0;
  for (float lane : sums) sum += lane;

  double logits = 0;
  if (with_logits)
    for (int64_t c = 0; c < classes; ++c) logits += x[c];
  return {max + std::log(sum), logits};
}

// dx = scale (softmax(x) - uniform_part): the label's own part is for the caller. dx may be x.
TRIREME_SIMD void unlabelled_gradient(const float* x, float lse, float uniform_part, float scale,
                                      float* dx, int64_t classes) {
#pragma GCC ivdep
  for (int64_t c = 0; c < classes; ++c)
    dx[c] = cross_entropy_gradient(x[c], lse, false, uniform_part, 0.0f, scale);
}

// One batch as the two kernels see it.
struct Batch {
  ClassRows size;
  SoftmaxCrossEntropyOptions options;
  const float* x;
  const int32_t* labels;
  const float* weight;

  float weight_of(int64_t row) const { return row_weight(weight, row, size.rows_per_sample); }
  RowKind kind_of(int64_t row) const {
    return classify_row(labels[row], weight_of(row), size.classes, options.ignore_index);
  }
  const float* row(int64_t r) const { return x + r * size.classes; }
};

double row_loss(const Batch& batch, int64_t row, float* lse) {
  const float smoothing = batch.options.label_smoothing;
  const RowSums sums = sum_row(batch.row(row), batch.size.classes, smoothing != 0);
  *lse = static_cast<float>(sums.lse);
  if (batch.kind_of(row) != RowKind::kCounts) return std::numeric_limits<double>::quiet_NaN();
  return cross_entropy_row(sums.lse, batch.row(row)[batch.labels[row]], sums.logits,
                           batch.size.classes, smoothing);
}

void row_gradient(const Batch& batch, int64_t row, float lse, float seed, float* dx) {
  const int64_t classes = batch.size.classes;
  const RowKind kind = batch.kind_of(row);
  if (kind != RowKind::kCounts) {
    std::fill_n(dx, classes,
                kind == RowKind::kIgnored ? 0.0f : std::numeric_limits<float>::quiet_NaN());
    return;
  }
  const float scale = seed * batch.weight_of(row);
  const float smoothing = batch.options.label_smoothing;
  const float uniform_part = smoothing / static_cast<float>(classes);
  const int32_t label = batch.labels[row];
  const float own = cross_entropy_gradient(batch.row(row)[label], lse, true, uniform_part,
                                           1.0f - smoothing, scale);
  unlabelled_gradient(batch.row(row), lse, uniform_part, scale, dx, classes);
  dx[label] = own;
}

int64_t grain_of(const ClassRows& size) { return kElementwiseGrain / 8 / size.classes + 1; }

}  // namespace

std::unique_ptr<Kernel> SoftmaxCrossEntropy::cpu_kernel(const NodeTypes& types,
                                                        const KernelContext& context) const {
  return make_kernel([size = class_rows(types), weighted = types.inputs.size() > 2,
                      options = options_, threads = context.threads](const KernelArgs& args) {
    const Batch batch{size, options, args.in<float>(0), args.in<int32_t>(1),
                      weighted ? args.in<float>(2) : nullptr};
    float* lse = args.out<float>(1);
    auto* terms = static_cast<double*>(args.workspace);
    parallel_for(threads, size.rows, grain_of(size), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) terms[row] = row_loss(batch, row, lse + row);
    });
    LossSums sums;
    for (int64_t row = 0; row < size.rows; ++row)
      if (batch.kind_of(row) != RowKind::kIgnored) sums.add(terms[row], batch.weight_of(row));
    sums.write(args.out<double>(0), args.accumulate);
  });
}

std::unique_ptr<Kernel> SoftmaxCrossEntropyGrad::cpu_kernel(const NodeTypes& types,
                                                            const KernelContext& context) const {
  return make_kernel([size = class_rows(types), options = options_, seed = seed_,
                      threads = context.threads](const KernelArgs& args) {
    const Batch batch{size, options, args.in<float>(0), args.in<int32_t>(1), args.in<float>(2)};
    const float* lse = args.in<float>(3);
    float* dx = args.out<float>(0);
    parallel_for(threads, size.rows, grain_of(size), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row)
        row_gradient(batch, row, lse[row], seed, dx + row * size.classes);
    });
  });
}

}  // namespace trireme::core

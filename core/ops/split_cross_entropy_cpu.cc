#include <algorithm>
#include <cmath>
#include <limits>

#include "core/cpu/parallel.h"
#include "core/cpu/simd.h"
#include "core/kernels/softmax.h"
#include "core/kernels/split_softmax.h"
#include "core/ops/cpu_kernel.h"
#include "core/ops/loss_sums.h"
#include "core/ops/split_cross_entropy.h"

namespace trireme::core {
namespace {

constexpr int kLanes = 16;

// Lanes side by side, so that the compiler need not reorder a sum to vectorise it.
TRIREME_SIMD float max_of(const float* x, int64_t count) {
  float top[kLanes];
  for (float& lane : top) lane = x[0];
  const int64_t whole = count / kLanes * kLanes;
  for (int64_t c = 0; c < whole; c += kLanes)
    for (int k = 0; k < kLanes; ++k) top[k] = x[c + k] > top[k] ? x[c + k] : top[k];
  for (int64_t c = whole; c < count; ++c) top[0] = x[c] > top[0] ? x[c] : top[0];
  float max = top[0];
  for (int k = 1; k < kLanes; ++k) max = top[k] > max ? top[k] : max;
  return max;
}

TRIREME_SIMD double sum_of_exp(const float* x, int64_t count, float max) {
  float sums[kLanes] = {};
  const int64_t whole = count / kLanes * kLanes;
  for (int64_t c = 0; c < whole; c += kLanes)
    for (int k = 0; k < kLanes; ++k) sums[k] += fast_exp(x[c + k] - max);
  double sum = 0;
  for (int64_t c = whole; c < count; ++c) sum += fast_exp(x[c] - max);
  for (float lane : sums) sum += lane;
  return sum;
}

// dx = scale (softmax(x) - uniform_part): the label's own part is for the caller. dx may be x.
TRIREME_SIMD void unlabelled_gradient(const float* x, float lse, float uniform_part, float scale,
                                      float* dx, int64_t classes) {
#pragma GCC ivdep
  for (int64_t c = 0; c < classes; ++c)
    dx[c] = cross_entropy_gradient(x[c], lse, false, uniform_part, 0.0f, scale);
}

SoftmaxPart softmax_part(const float* x, int64_t classes, int64_t label, bool with_sum) {
  const float max = max_of(x, classes);
  double sum_of_x = 0;
  if (with_sum)
    for (int64_t c = 0; c < classes; ++c) sum_of_x += x[c];
  return {static_cast<float>(max + std::log(sum_of_exp(x, classes, max))),
          label >= 0 && label < classes ? x[label] : 0.0f, static_cast<float>(sum_of_x)};
}

ArgmaxPart argmax_part(const float* x, int64_t classes, int64_t first) {
  int64_t best = 0;
  bool numbers = true;
  for (int64_t c = 0; c < classes; ++c) {
    numbers &= x[c] == x[c];
    if (x[c] > x[best]) best = c;
  }
  if (!numbers) return {std::numeric_limits<float>::quiet_NaN(), -1.0f};
  return {x[best], static_cast<float>(first + best)};
}

int64_t grain_of(int64_t classes) { return kElementwiseGrain / 8 / classes + 1; }

// Labels and weights as losses and metrics see them.
struct Labels {
  Labels(const ValueType& labels, const ValueType& weight, int64_t classes, int32_t ignore_index)
      : rows(labels.elements()),
        rows_per_sample(weight.present() ? rows / weight.elements() : 1),
        classes(classes),
        ignore_index(ignore_index) {}

  Labels bound(const KernelArgs& args, int labels_at) const {
    Labels bound = *this;
    bound.labels = args.in<int32_t>(labels_at);
    bound.weight = args.in<float>(labels_at + 1);
    return bound;
  }
  float weight_of(int64_t row) const { return row_weight(weight, row, rows_per_sample); }
  RowKind kind_of(int64_t row) const {
    return classify_row(labels[row], weight_of(row), classes, ignore_index);
  }
  void add_up(const double* terms, const KernelArgs& args) const {
    LossSums sums;
    for (int64_t row = 0; row < rows; ++row)
      if (kind_of(row) != RowKind::kIgnored) sums.add(terms[row], weight_of(row));
    sums.write(args.out<double>(0), args.accumulate);
  }

  int64_t rows, rows_per_sample, classes;
  int32_t ignore_index;
  const int32_t* labels = nullptr;
  const float* weight = nullptr;
};

}  // namespace

std::unique_ptr<Kernel> SoftmaxParts::cpu_kernel(const NodeTypes& types,
                                                 const KernelContext& context) const {
  return make_kernel([rows = types.inputs[1].elements(), classes = types.inputs[0].shape[-1],
                      first = slice_.first, smoothed = options_.label_smoothing != 0,
                      threads = context.threads](const KernelArgs& args) {
    const float* x = args.in<float>(0);
    const int32_t* labels = args.in<int32_t>(1);
    auto* parts = args.out<SoftmaxPart>(0);
    parallel_for(threads, rows, grain_of(classes), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row)
        parts[row] = softmax_part(x + row * classes, classes, labels[row] - first, smoothed);
    });
  });
}

std::unique_ptr<Kernel> SplitCrossEntropy::cpu_kernel(const NodeTypes& types,
                                                      const KernelContext& context) const {
  const Labels unbound(types.inputs[1], types.inputs[2], slice_.total, options_.ignore_index);
  const int ranks = static_cast<int>(types.inputs[3].elements() / 3 / unbound.rows);
  return make_kernel([unbound, ranks, smoothing = options_.label_smoothing,
                      threads = context.threads](const KernelArgs& args) {
    const Labels labels = unbound.bound(args, 1);
    const auto* parts = args.in<SoftmaxPart>(3);
    float* lse = args.out<float>(1);
    auto* terms = static_cast<double*>(args.workspace);
    parallel_for(threads, labels.rows, grain_of(ranks), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const SoftmaxRow all = join_softmax_parts(parts, ranks, labels.rows, row);
        lse[row] = static_cast<float>(all.lse);
        terms[row] =
            labels.kind_of(row) == RowKind::kCounts
                ? cross_entropy_row(all.lse, all.x_label, all.sum_of_x, labels.classes, smoothing)
                : std::numeric_limits<double>::quiet_NaN();
      }
    });
    labels.add_up(terms, args);
  });
}

std::unique_ptr<Kernel> SplitCrossEntropyGrad::cpu_kernel(const NodeTypes& types,
                                                          const KernelContext& context) const {
  const Labels unbound(types.inputs[1], types.inputs[2], slice_.total, options_.ignore_index);
  return make_kernel([unbound, classes = types.inputs[0].shape[-1], first = slice_.first,
                      smoothing = options_.label_smoothing, seed = seed_,
                      threads = context.threads](const KernelArgs& args) {
    const Labels labels = unbound.bound(args, 1);
    const float uniform_part = smoothing / static_cast<float>(labels.classes);
    const auto row_gradient = [&](int64_t row) {
      const float* x = args.in<float>(0) + row * classes;
      float* dx = args.out<float>(0) + row * classes;
      const RowKind kind = labels.kind_of(row);
      if (kind != RowKind::kCounts) {
        std::fill_n(dx, classes,
                    kind == RowKind::kIgnored ? 0.0f : std::numeric_limits<float>::quiet_NaN());
        return;
      }
      const float lse = args.in<float>(3)[row], scale = seed * labels.weight_of(row);
      const int64_t label = labels.labels[row] - first;
      const bool here = label >= 0 && label < classes;
      const float own =
          here ? cross_entropy_gradient(x[label], lse, true, uniform_part, 1.0f - smoothing, scale)
               : 0.0f;
      unlabelled_gradient(x, lse, uniform_part, scale, dx, classes);
      if (here) dx[label] = own;
    };
    parallel_for(threads, labels.rows, grain_of(classes), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) row_gradient(row);
    });
  });
}

std::unique_ptr<Kernel> ArgmaxParts::cpu_kernel(const NodeTypes& types,
                                                const KernelContext& context) const {
  const int64_t classes = types.inputs[0].shape[-1];
  return make_kernel([classes, rows = types.inputs[0].elements() / classes, first = slice_.first,
                      threads = context.threads](const KernelArgs& args) {
    const float* x = args.in<float>(0);
    auto* parts = args.out<ArgmaxPart>(0);
    parallel_for(threads, rows, grain_of(classes), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row)
        parts[row] = argmax_part(x + row * classes, classes, first);
    });
  });
}

std::unique_ptr<Kernel> SplitAccuracy::cpu_kernel(const NodeTypes& types,
                                                  const KernelContext& context) const {
  const Labels unbound(types.inputs[0], types.inputs[1], classes_, ignore_index_);
  const int ranks = static_cast<int>(types.inputs[2].elements() / 2 / unbound.rows);
  return make_kernel([unbound, ranks, threads = context.threads](const KernelArgs& args) {
    const Labels labels = unbound.bound(args, 0);
    const auto* parts = args.in<ArgmaxPart>(2);
    auto* right = static_cast<double*>(args.workspace);
    parallel_for(threads, labels.rows, grain_of(ranks), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row)
        right[row] = labels.kind_of(row) == RowKind::kCounts &&
                     label_is_argmax(parts, ranks, labels.rows, row, labels.labels[row]);
    });
    labels.add_up(right, args);
  });
}

}  // namespace trireme::core

#include <algorithm>
#include <cmath>

#include "core/cpu/elementwise_loops.h"
#include "core/cpu/lane_sum.h"
#include "core/cpu/parallel.h"
#include "core/cpu/simd.h"
#include "core/ops/cpu_kernel.h"
#include "core/ops/expect.h"
#include "core/ops/norm_rows.h"

namespace trireme::core {
namespace {

constexpr int64_t kColumnBlock = 64;  // of the weight gradient: sums that stay in the first cache
constexpr int64_t kRowBlock = 128;    // of rows added before the blocks are

// Two passes over a row that lies in the first cache: no cancellation.
TRIREME_SIMD RowStatistics statistics_of(const float* s, int64_t width, bool centered,
                                         float epsilon) {
  const auto count = static_cast<float>(width);
  const auto value = [=](int64_t i) __attribute__((always_inline)) { return s[i]; };
  const float mean = centered ? lane_sum(width, value) / count : 0.0f;
  const auto square = [=](int64_t i) __attribute__((always_inline)) {
    return (s[i] - mean) * (s[i] - mean);
  };
  return {mean, 1.0f / std::sqrt(lane_sum(width, square) / count + epsilon)};
}

// y = (s - mean) scale weight + bias; y may be s.
TRIREME_SIMD void write_normed(const float* s, RowStatistics of_row, const float* weight,
                               const float* bias, float* y, int64_t width) {
  if (bias == nullptr) {
#pragma GCC ivdep
    for (int64_t i = 0; i < width; ++i) y[i] = (s[i] - of_row.mean) * of_row.scale * weight[i];
    return;
  }
#pragma GCC ivdep
  for (int64_t i = 0; i < width; ++i)
    y[i] = (s[i] - of_row.mean) * of_row.scale * weight[i] + bias[i];
}

// ds of one row; may be dy or later.
TRIREME_SIMD void backward_row(const float* dy, const float* s, const float* weight,
                               RowStatistics of_row, bool centered, const float* later, float* ds,
                               int64_t width) {
  const float mean = of_row.mean, scale = of_row.scale;
  const float of_count = 1.0f / static_cast<float>(width);
  const auto g = [=](int64_t i) __attribute__((always_inline)) { return dy[i] * weight[i]; };
  const auto gn = [=](int64_t i) __attribute__((always_inline)) {
    return dy[i] * weight[i] * ((s[i] - mean) * scale);
  };
  const float mean_g = centered ? of_count * lane_sum(width, g) : 0.0f;
  const float mean_gn = of_count * lane_sum(width, gn);
  if (later == nullptr) {
#pragma GCC ivdep
    for (int64_t i = 0; i < width; ++i)
      ds[i] = scale * (dy[i] * weight[i] - mean_g - (s[i] - mean) * scale * mean_gn);
    return;
  }
#pragma GCC ivdep
  for (int64_t i = 0; i < width; ++i)
    ds[i] = scale * (dy[i] * weight[i] - mean_g - (s[i] - mean) * scale * mean_gn) + later[i];
}

// Sums over rows [begin, end) of columns [first, first + count), count <= kColumnBlock.
TRIREME_SIMD void sum_rows(const NormRows& in, const float* dy, const float* s,
                           const float* statistics, int64_t begin, int64_t end, int64_t first,
                           int64_t count, float* dweight, float* dbias) {
  for (int64_t row = begin; row < end; ++row) {
    const auto [mean, scale] = in.read(statistics, row);
    const float* dy_row = dy + row * in.width + first;
    const float* s_row = s + row * in.width + first;
#pragma GCC ivdep
    for (int64_t j = 0; j < count; ++j) {
      dweight[j] += dy_row[j] * ((s_row[j] - mean) * scale);
      dbias[j] += dy_row[j];
    }
  }
}

int64_t grain_of(const NormRows& in) { return 1 + kElementwiseGrain / 2 / in.width; }

class NormKernel : public Kernel {
 public:
  NormKernel(const NodeTypes& types, const NormOptions& options, int threads)
      : in_(options, types.inputs[0]),
        has_bias_(operand(types.inputs, 2).present()),
        has_residual_(operand(types.inputs, 3).present()),
        threads_(threads) {}

  void run(const KernelArgs& args) override {
    parallel_for(threads_, in_.rows, grain_of(in_), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) run_row(args, row);
    });
  }

 private:
  void run_row(const KernelArgs& args, int64_t row) const {
    const int64_t at = row * in_.width;
    const float* s = args.in<float>(0) + at;
    if (has_residual_) {
      float* sum = args.out<float>(2) + at;
      add_arrays(s, args.in<float>(3) + at, sum, in_.width);
      s = sum;
    }
    const RowStatistics of_row = statistics_of(s, in_.width, in_.centered, in_.epsilon);
    in_.write(args.out<float>(1), row, of_row);
    write_normed(s, of_row, args.in<float>(1), has_bias_ ? args.in<float>(2) : nullptr,
                 args.out<float>(0) + at, in_.width);
  }

  NormRows in_;
  bool has_bias_, has_residual_;
  int threads_;
};

// Each thread owns some columns; rows are added in one order whatever the threads.
class NormGradWeightKernel : public Kernel {
 public:
  NormGradWeightKernel(const NodeTypes& types, const NormOptions& options, int threads)
      : in_(options, types.inputs[0]), has_bias_(types.outputs.size() > 1), threads_(threads) {}

  void run(const KernelArgs& args) override {
    const int64_t blocks = (in_.width + kColumnBlock - 1) / kColumnBlock;
    const int64_t grain = 1 + kElementwiseGrain / (kColumnBlock * in_.rows + 1);
    parallel_for(threads_, blocks, grain, [&](int64_t begin, int64_t end) {
      for (int64_t block = begin; block < end; ++block) run_columns(args, block * kColumnBlock);
    });
  }

 private:
  void run_columns(const KernelArgs& args, int64_t first) const {
    const int64_t count = std::min(kColumnBlock, in_.width - first);
    float dweight[kColumnBlock] = {}, dbias[kColumnBlock] = {};
    for (int64_t begin = 0; begin < in_.rows; begin += kRowBlock) {
      float block_weight[kColumnBlock] = {}, block_bias[kColumnBlock] = {};
      sum_rows(in_, args.in<float>(0), args.in<float>(1), args.in<float>(2), begin,
               std::min(in_.rows, begin + kRowBlock), first, count, block_weight, block_bias);
      add_arrays(dweight, block_weight, dweight, count);
      add_arrays(dbias, block_bias, dbias, count);
    }
    put(dweight, args.out<float>(0) + first, count, args.accumulate);
    if (has_bias_) put(dbias, args.out<float>(1) + first, count, args.accumulate);
  }

  static void put(const float* sums, float* out, int64_t count, bool accumulate) {
    if (accumulate)
      add_arrays(out, sums, out, count);
    else
      std::copy_n(sums, count, out);
  }

  NormRows in_;
  bool has_bias_;
  int threads_;
};

}  // namespace

std::unique_ptr<Kernel> Norm::cpu_kernel(const NodeTypes& types,
                                         const KernelContext& context) const {
  return std::make_unique<NormKernel>(types, options_, context.threads);
}

std::unique_ptr<Kernel> NormGrad::cpu_kernel(const NodeTypes& types,
                                             const KernelContext& context) const {
  return make_kernel([in = NormRows(options_, types.inputs[0]), has_later = has_later_,
                      threads = context.threads](const KernelArgs& args) {
    parallel_for(threads, in.rows, grain_of(in), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const int64_t at = row * in.width;
        backward_row(args.in<float>(0) + at, args.in<float>(1) + at, args.in<float>(2),
                     in.read(args.in<float>(3), row), in.centered,
                     has_later ? args.in<float>(4) + at : nullptr, args.out<float>(0) + at,
                     in.width);
      }
    });
  });
}

std::unique_ptr<Kernel> NormGradWeight::cpu_kernel(const NodeTypes& types,
                                                   const KernelContext& context) const {
  return std::make_unique<NormGradWeightKernel>(types, options_, context.threads);
}

}  // namespace trireme::core

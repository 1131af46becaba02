#include <algorithm>
#include <limits>

#include "core/cpu/elementwise_loops.h"
#include "core/cpu/parallel.h"
#include "core/ops/cpu_kernel.h"
#include "core/ops/embedding_rows.h"
#include "core/ops/expect.h"

namespace trireme::core {
namespace {

constexpr int64_t kColumnUnit = 16;  // a cache line: threads that own columns share none

void write_row(const EmbeddingInputs& in, int64_t row, float* y) {
  const EmbeddingRow from = in.row(row);
  if (from.invalid) {
    std::fill_n(y, in.width, std::numeric_limits<float>::quiet_NaN());
    return;
  }
  if (from.token == nullptr)
    std::fill_n(y, in.width, 0.0f);
  else
    std::copy_n(from.token, in.width, y);
  if (from.position != nullptr) add_arrays(y, from.position, y, in.width);
}

// Every thread owns some of the table's columns and goes through all tokens in order, so that no
// two threads write one element and the bits do not depend on their number.
class EmbeddingGradKernel : public Kernel {
 public:
  EmbeddingGradKernel(const NodeTypes& types, const VocabularySlice& slice, int threads)
      : tokens_(types.inputs[1].elements()),
        width_(types.inputs[0].shape[2]),
        slice_(slice),
        threads_(threads) {}

  void run(const KernelArgs& args) override {
    float* table = args.out<float>(0);
    if (!args.accumulate)
      parallel_for(
          threads_, slice_.rows * width_, kElementwiseGrain,
          [&](int64_t begin, int64_t end) { std::fill(table + begin, table + end, 0.0f); });
    const int64_t units = (width_ + kColumnUnit - 1) / kColumnUnit;
    const int64_t grain = 1 + kElementwiseGrain / (kColumnUnit * tokens_ + 1);
    parallel_for(threads_, units, grain, [&](int64_t begin, int64_t end) {
      add_columns(args, begin * kColumnUnit, std::min(end * kColumnUnit, width_));
    });
  }

 private:
  void add_columns(const KernelArgs& args, int64_t begin, int64_t end) const {
    const float* dy = args.in<float>(0);
    const int32_t* tokens = args.in<int32_t>(1);
    float* table = args.out<float>(0);
    for (int64_t i = 0; i < tokens_; ++i) {
      if (!slice_.holds(tokens[i])) continue;
      float* row = table + (tokens[i] - slice_.first) * width_ + begin;
      add_arrays(row, dy + i * width_ + begin, row, end - begin);
    }
  }

  int64_t tokens_, width_;
  VocabularySlice slice_;
  int threads_;
};

}  // namespace

std::unique_ptr<Kernel> Embedding::cpu_kernel(const NodeTypes& types,
                                              const KernelContext& context) const {
  return make_kernel([binder = EmbeddingBinder(types, options_), count = types.inputs[0].elements(),
                      threads = context.threads](const KernelArgs& args) {
    const EmbeddingInputs in = binder(args);
    float* y = args.out<float>(0);
    parallel_for(threads, count, 1 + kElementwiseGrain / in.width, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) write_row(in, row, y + row * in.width);
    });
  });
}

std::unique_ptr<Kernel> EmbeddingGrad::cpu_kernel(const NodeTypes& types,
                                                  const KernelContext& context) const {
  return std::make_unique<EmbeddingGradKernel>(types, VocabularySlice(options_, rows_),
                                               context.threads);
}

std::unique_ptr<Kernel> PositionEmbeddingGrad::cpu_kernel(const NodeTypes& types,
                                                          const KernelContext& context) const {
  return make_kernel([shape = types.inputs[0].shape, rows = rows_,
                      has_positions = operand(types.inputs, 1).present(),
                      threads = context.threads](const KernelArgs& args) {
    const int64_t samples = shape[0], length = shape[1], width = shape[2];
    const float* dy = args.in<float>(0);
    const int32_t* positions = has_positions ? args.in<int32_t>(1) : nullptr;
    float* table = args.out<float>(0);
    const int64_t grain = 1 + kElementwiseGrain / (width * samples + 1);
    parallel_for(threads, rows, grain, [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p) {
        float* row = table + p * width;
        if (!args.accumulate) std::fill_n(row, width, 0.0f);
        for (int64_t b = 0; b < samples; ++b) {
          const int64_t s = p - (positions == nullptr ? 0 : positions[b]);
          if (s >= 0 && s < length) add_arrays(row, dy + (b * length + s) * width, row, width);
        }
      }
    });
  });
}

}  // namespace trireme::core

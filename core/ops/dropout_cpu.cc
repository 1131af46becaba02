#include <algorithm>

#include "core/cpu/parallel.h"
#include "core/cpu/simd.h"
#include "core/kernels/dropout.h"
#include "core/ops/cpu_kernel.h"
#include "core/ops/dropout.h"
#include "core/runtime/step_state.h"

namespace trireme::core {
namespace {

constexpr int64_t kQuads = 64;  // drawn at a time: 1 KiB of draws

// draws[4 q + lane] of quads [first, first + quads) of one sample.
TRIREME_SIMD void draw_quads(DropoutRule rule, int64_t sample, int64_t first, int64_t quads,
                             uint32_t* draws) {
  for (int64_t q = 0; q < quads; ++q) {
    const PhiloxBlock block = dropout_draws(rule, sample, first + q);
    for (int lane = 0; lane < 4; ++lane) draws[4 * q + lane] = block.lane[lane];
  }
}

TRIREME_SIMD void apply_draws(DropoutRule rule, const uint32_t* draws, const float* x, float* y,
                              int64_t count) {
#pragma GCC ivdep  // y may be x
  for (int64_t i = 0; i < count; ++i) y[i] = dropout_element(rule, x[i], draws[i]);
}

// Elements [first, first + count) of one sample.
void drop_run(const DropoutRule& rule, int64_t sample, int64_t first, const float* x, float* y,
              int64_t count) {
  uint32_t draws[4 * kQuads];
  while (count > 0) {
    const int64_t skip = first % 4, part = std::min(4 * kQuads - skip, count);
    draw_quads(rule, sample, first / 4, (skip + part + 3) / 4, draws);
    apply_draws(rule, draws + skip, x, y, part);
    first += part, x += part, y += part, count -= part;
  }
}

}  // namespace

std::unique_ptr<Kernel> Dropout::cpu_kernel(const NodeTypes& types,
                                            const KernelContext& context) const {
  const DropoutRule rule =
      make_dropout_rule(random_key(context.seed, "dropout", stream_), probability_);
  return make_kernel([rule, in = DropoutRows(types.inputs[0].shape, box_),
                      threads = context.threads](const KernelArgs& args) {
    const float* x = args.in<float>(0);
    float* y = args.out<float>(0);
    const int64_t first = args.step->first_sample + args.sample_offset;
    const int64_t grain = kElementwiseGrain / 8 / std::max<int64_t>(in.columns, 1) + 1;
    parallel_for(threads, in.rows, grain, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const int64_t row = in.box.first_row + r, within = row % in.box.rows_per_sample;
        drop_run(rule, first + row / in.box.rows_per_sample,
                 within * in.box.width + in.box.first_column, x + r * in.columns,
                 y + r * in.columns, in.columns);
      }
    });
  });
}

}  // namespace trireme::core

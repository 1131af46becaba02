#include <algorithm>

#include "core/cpu/parallel.h"
#include "core/cpu/simd.h"
#include "core/kernels/rotary.h"
#include "core/ops/cpu_kernel.h"
#include "core/ops/expect.h"
#include "core/ops/rotary.h"

namespace trireme::core {
namespace {

constexpr int64_t kTurns = 64;  // pairs whose turns are kept at hand for all heads

// One position: `heads` heads of 2 `half` elements. y may be x.
TRIREME_SIMD void rotate_row(const float* x, float* y, int64_t heads, int64_t half,
                             const float* frequencies, int64_t position, float sign) {
  float sin[kTurns], cos[kTurns];
  for (int64_t first = 0; first < half; first += kTurns) {
    const int64_t count = std::min(kTurns, half - first);
    for (int64_t i = 0; i < count; ++i) {
      const SinCos turn = rotary_turn(position, frequencies[first + i], sign);
      sin[i] = turn.sin;
      cos[i] = turn.cos;
    }
    for (int64_t head = 0; head < heads; ++head) {
      const float* low = x + head * 2 * half + first;
      float* out = y + head * 2 * half + first;
#pragma GCC ivdep
      for (int64_t i = 0; i < count; ++i) {
        const float a = low[i], b = low[half + i];
        out[i] = a * cos[i] - b * sin[i];
        out[half + i] = b * cos[i] + a * sin[i];
      }
    }
  }
}

class RotaryKernel : public Kernel {
 public:
  RotaryKernel(const NodeTypes& types, const RotaryOptions& options, bool inverse, int threads)
      : options_(options),
        rows_(types.inputs[0].shape[0] * types.inputs[0].shape[1]),
        length_(types.inputs[0].shape[1]),
        width_(types.inputs[0].shape[2]),
        has_positions_(operand(types.inputs, 1).present()),
        sign_(inverse ? -1.0f : 1.0f),
        threads_(threads),
        frequencies_(rotary_frequencies(options.head_dim, options.theta)) {}

  void run(const KernelArgs& args) override {
    const int64_t grain = 1 + kElementwiseGrain / width_;
    parallel_for(threads_, rows_, grain, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) run_row(args, row);
    });
  }

 private:
  void run_row(const KernelArgs& args, int64_t row) const {
    const auto* positions = has_positions_ ? args.in<int32_t>(1) : nullptr;
    const int64_t start = positions == nullptr ? 0 : positions[row / length_];
    const float* x = args.in<float>(0) + row * width_;
    float* y = args.out<float>(0) + row * width_;
    rotate_row(x, y, options_.heads, options_.head_dim / 2, frequencies_.data(),
               start + row % length_, sign_);
    const int64_t rotated = options_.heads * options_.head_dim;
    if (x != y) std::copy(x + rotated, x + width_, y + rotated);
  }

  RotaryOptions options_;
  int64_t rows_, length_, width_;
  bool has_positions_;
  float sign_;
  int threads_;
  std::vector<float> frequencies_;
};

}  // namespace

std::unique_ptr<Kernel> Rotary::cpu_kernel(const NodeTypes& types,
                                           const KernelContext& context) const {
  return std::make_unique<RotaryKernel>(types, options_, inverse_, context.threads);
}

}  // namespace trireme::core

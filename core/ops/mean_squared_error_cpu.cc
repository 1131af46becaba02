#include <algorithm>

#include "core/cpu/elementwise_loops.h"
#include "core/cpu/parallel.h"
#include "core/ops/cpu_kernel.h"
#include "core/ops/loss_sums.h"
#include "core/ops/mean_squared_error.h"

namespace trireme::core {
namespace {

// The weight of a sample where weights may be given for groups of samples.
float weight_of(const float* weight, int64_t sample, int64_t samples_per_weight) {
  return weight == nullptr ? 1.0f : weight[sample / samples_per_weight];
}

struct Extents {
  int64_t samples;
  int64_t row;                 // elements of a sample
  int64_t samples_per_weight;  // 1, unless weights are fewer
  int threads;

  int64_t grain() const { return kElementwiseGrain / row + 1; }
};

Extents extents_of(const NodeTypes& types, const KernelContext& context) {
  const Shape& x = types.inputs[0].shape;
  const bool weighted = types.inputs.size() > 2 && types.inputs[2].present();
  return {x[0], x.elements_per_row(), weighted ? x[0] / types.inputs[2].elements() : 1,
          context.threads};
}

}  // namespace

std::unique_ptr<Kernel> MeanSquaredError::cpu_kernel(const NodeTypes& types,
                                                     const KernelContext& context) const {
  return make_kernel([e = extents_of(types, context),
                      weighted = types.inputs.size() > 2](const KernelArgs& args) {
    const float* x = args.in<float>(0);
    const float* target = args.in<float>(1);
    const float* weight = weighted ? args.in<float>(2) : nullptr;
    auto* terms = static_cast<double*>(args.workspace);
    parallel_for(e.threads, e.samples, e.grain(), [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b)
        terms[b] =
            squared_distance(x + b * e.row, target + b * e.row, e.row) / static_cast<double>(e.row);
    });
    LossSums sums;
    for (int64_t b = 0; b < e.samples; ++b)
      sums.add(terms[b], weight_of(weight, b, e.samples_per_weight));
    sums.write(args.out<double>(0), args.accumulate);
  });
}

std::unique_ptr<Kernel> MeanSquaredErrorGrad::cpu_kernel(const NodeTypes& types,
                                                         const KernelContext& context) const {
  return make_kernel([e = extents_of(types, context), weighted = types.inputs.size() > 2,
                      scale =
                          2 * seed_ / static_cast<float>(types.inputs[0].shape.elements_per_row())](
                         const KernelArgs& args) {
    const float* x = args.in<float>(0);
    const float* target = args.in<float>(1);
    const float* weight = weighted ? args.in<float>(2) : nullptr;
    float* dx = args.out<float>(0);
    parallel_for(e.threads, e.samples, e.grain(), [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) {
        const float w = weight_of(weight, b, e.samples_per_weight);
        if (w == 0)  // padding, which may hold anything
          std::fill_n(dx + b * e.row, e.row, 0.0f);
        else
          scaled_difference(scale * w, x + b * e.row, target + b * e.row, dx + b * e.row, e.row);
      }
    });
  });
}

}  // namespace trireme::core

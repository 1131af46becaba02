#include "core/cuda/function_kernel.h"
#include "core/cuda/vector4.cuh"
#include "core/kernels/dropout.h"
#include "core/ops/dropout.h"
#include "core/runtime/step_state.h"

namespace trireme::core {
namespace {

// One thread draws for four neighbours of one sample; a row's first and last quad may be short.
//   x, y  (in.rows, in.columns);  sample_offset: of row 0 within the step
//   quads  that a row can touch;  vectorised: every row begins with a whole quad, aligned
__global__ void __launch_bounds__(256)
    dropout_kernel(DropoutRule rule, const StepState* step, int64_t sample_offset, const float* x,
                   float* y, DropoutRows in, int64_t quads, bool vectorised) {
  const int64_t first_sample = step->first_sample + sample_offset;
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < in.rows * quads;
       i += stride) {
    const int64_t row = in.box.first_row + i / quads;
    const int64_t first =
        row % in.box.rows_per_sample * in.box.width + in.box.first_column;  // of the row's run
    const int64_t quad = first / 4 + i % quads;
    const PhiloxBlock draws =
        dropout_draws(rule, first_sample + row / in.box.rows_per_sample, quad);
    if (vectorised) {
      const float4 v = load4(x, i);
      store4(y, i,
             make_float4(dropout_element(rule, v.x, draws.lane[0]),
                         dropout_element(rule, v.y, draws.lane[1]),
                         dropout_element(rule, v.z, draws.lane[2]),
                         dropout_element(rule, v.w, draws.lane[3])));
      continue;
    }
    const int64_t base = i / quads * in.columns - first;
    for (int j = 0; j < 4; ++j) {
      const int64_t element = 4 * quad + j;
      if (element >= first && element < first + in.columns)
        y[base + element] = dropout_element(rule, x[base + element], draws.lane[j]);
    }
  }
}

}  // namespace

std::unique_ptr<Kernel> Dropout::cuda_kernel(const NodeTypes& types,
                                             const KernelContext& context) const {
  const DropoutRule rule =
      make_dropout_rule(random_key(context.seed, "dropout", stream_), probability_);
  const DropoutRows in(types.inputs[0].shape, box_);
  // Every row's run begins with a whole quad.
  const bool aligned =
      in.box.first_column % 4 == 0 && (in.box.width % 4 == 0 || in.box.rows_per_sample == 1);
  const int64_t quads = (in.columns + 3) / 4 + (aligned ? 0 : 1);
  return make_function_kernel([rule, in, aligned, quads](const KernelArgs& args) {
    const float* x = args.in<float>(0);
    float* y = args.out<float>(0);
    launch(dropout_kernel, blocks_for(in.rows * quads, 256), dim3(256), args.stream, rule,
           args.step, args.sample_offset, x, y, in, quads,
           aligned && in.columns % 4 == 0 && all_aligned16(x, y));
  });
}

}  // namespace trireme::core

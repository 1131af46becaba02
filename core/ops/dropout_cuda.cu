#include "core/cuda/function_kernel.h"
#include "core/cuda/vector4.cuh"
#include "core/kernels/dropout.h"
#include "core/ops/dropout.h"
#include "core/runtime/step_state.h"

namespace trireme::core {
namespace {

// One thread draws for four neighbours of one sample; a sample's last quad may be short.
//   x, y  (rows, width);  sample_offset: of row 0 within the step
__global__ void __launch_bounds__(256)
    dropout_kernel(DropoutRule rule, const StepState* step, int64_t sample_offset, const float* x,
                   float* y, int64_t rows, int64_t width, bool vectorised) {
  const int64_t quads = (width + 3) / 4;
  const int64_t first_sample = step->first_sample + sample_offset;
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < rows * quads; i += stride) {
    const int64_t row = i / quads, quad = i % quads;
    const PhiloxBlock draws = dropout_draws(rule, first_sample + row, quad);
    if (vectorised) {
      const float4 v = load4(x, i);
      store4(y, i,
             make_float4(dropout_element(rule, v.x, draws.lane[0]),
                         dropout_element(rule, v.y, draws.lane[1]),
                         dropout_element(rule, v.z, draws.lane[2]),
                         dropout_element(rule, v.w, draws.lane[3])));
      continue;
    }
    const int64_t base = row * width + 4 * quad;
    for (int j = 0; j < 4; ++j)
      if (4 * quad + j < width) y[base + j] = dropout_element(rule, x[base + j], draws.lane[j]);
  }
}

}  // namespace

std::unique_ptr<Kernel> Dropout::cuda_kernel(const NodeTypes& types,
                                             const KernelContext& context) const {
  const Shape& shape = types.inputs[0].shape;
  const int64_t rows = shape[0], width = shape.elements_per_row();
  const DropoutRule rule =
      make_dropout_rule(random_key(context.seed, "dropout", stream_), probability_);
  return make_function_kernel([rows, width, rule](const KernelArgs& args) {
    const float* x = args.in<float>(0);
    float* y = args.out<float>(0);
    const bool vectorised = width % 4 == 0 && all_aligned16(x, y);
    launch(dropout_kernel, blocks_for(rows * ((width + 3) / 4), 256), dim3(256), args.stream, rule,
           args.step, args.sample_offset, x, y, rows, width, vectorised);
  });
}

}  // namespace trireme::core

#include "core/cuda/device_array.h"
#include "core/cuda/reduce.cuh"
#include "core/cuda/vector4.cuh"
#include "core/kernels/optimizer.h"
#include "core/optim/optimizer_kernels.h"

namespace trireme::core {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kChunk = 16384;  // elements of a block

// What the kernel does to one element, in one type for each optimizer: rule() once a block,
// element() for p, g and the moments it has. Unused moments come as a dummy.
struct SgdUpdate {
  static constexpr int kMoments = 0;
  using Rule = SgdRule;
  SgdOptions options;

  __device__ Rule rule(const UpdateRange& range, const StepState& step) const {
    return make_sgd_rule(options, range, step);
  }
  __device__ float element(const Rule& rule, float p, float g, float&, float&) const {
    return sgd_element(rule, p, g);
  }
};

struct MomentumUpdate {
  static constexpr int kMoments = 1;
  using Rule = SgdRule;
  SgdOptions options;

  __device__ Rule rule(const UpdateRange& range, const StepState& step) const {
    return make_sgd_rule(options, range, step);
  }
  __device__ float element(const Rule& rule, float p, float g, float& m, float&) const {
    return sgd_momentum_element(rule, options.nesterov, p, g, m);
  }
};

struct AdamUpdate {
  static constexpr int kMoments = 2;
  using Rule = AdamRule;
  AdamOptions options;

  __device__ Rule rule(const UpdateRange& range, const StepState& step) const {
    return make_adam_rule(options, range, step);
  }
  __device__ float element(const Rule& rule, float p, float g, float& m, float& v) const {
    return adam_element(rule, p, g, m, v);
  }
};

// p are the averages, g the parameters.
struct AverageUpdate {
  static constexpr int kMoments = 0;
  using Rule = float;  // the newest parameters' weight
  AverageOptions options;

  __device__ Rule rule(const UpdateRange&, const StepState& step) const {
    return average_weight(options, step);
  }
  __device__ float element(Rule weight, float average, float p, float&, float&) const {
    return average_element(weight, average, p);
  }
};

struct Buffers {
  float* p;
  const float* g;
  float* m;
  float* v;
};

template <typename Update>
__device__ void update_one(const Update& update, const typename Update::Rule& rule, Buffers b,
                           int64_t i) {
  float m = Update::kMoments > 0 ? b.m[i] : 0.0f;
  float v = Update::kMoments > 1 ? b.v[i] : 0.0f;
  b.p[i] = update.element(rule, b.p[i], b.g[i], m, v);
  if (Update::kMoments > 0) b.m[i] = m;
  if (Update::kMoments > 1) b.v[i] = v;
}

template <typename Update>
__device__ void update_four(const Update& update, const typename Update::Rule& rule, Buffers b,
                            int64_t i) {
  const float4 zero = make_float4(0, 0, 0, 0);
  float4 p = load4(b.p, i);
  const float4 g = load4(b.g, i);
  float4 m = Update::kMoments > 0 ? load4(b.m, i) : zero;
  float4 v = Update::kMoments > 1 ? load4(b.v, i) : zero;
  p.x = update.element(rule, p.x, g.x, m.x, v.x);
  p.y = update.element(rule, p.y, g.y, m.y, v.y);
  p.z = update.element(rule, p.z, g.z, m.z, v.z);
  p.w = update.element(rule, p.w, g.w, m.w, v.w);
  store4(b.p, i, p);
  if (Update::kMoments > 0) store4(b.m, i, m);
  if (Update::kMoments > 1) store4(b.v, i, v);
}

// One block a chunk: elements [begin, end) of every buffer. Nothing is touched unless step->apply.
template <typename Update>
__global__ void __launch_bounds__(kThreads)
    update_chunks(Update update, const UpdateRange* chunks, Buffers buffers, const StepState* step,
                  bool vectorised) {
  if (step->apply == 0) return;
  const UpdateRange chunk = chunks[blockIdx.x];
  const auto rule = update.rule(chunk, *step);
  buffers.g += chunk.gradient_shift;
  if (Update::kMoments > 0) buffers.m += chunk.moment_shift;
  if (Update::kMoments > 1) buffers.v += chunk.moment_shift;
  // Fours start at multiples of 4 of the whole buffer; what is left lies before and after.
  const int64_t first_four = vectorised ? (chunk.begin + 3) / 4 : 0;
  const int64_t last_four = vectorised ? chunk.end / 4 : 0;
  const int lane = static_cast<int>(threadIdx.x);
  for (int64_t i = first_four + lane; i < last_four; i += kThreads)
    update_four(update, rule, buffers, i);
  const bool any = first_four < last_four;
  const int64_t head_end = any ? 4 * first_four : chunk.end;
  for (int64_t i = chunk.begin + lane; i < head_end; i += kThreads)
    update_one(update, rule, buffers, i);
  if (!any) return;
  for (int64_t i = 4 * last_four + lane; i < chunk.end; i += kThreads)
    update_one(update, rule, buffers, i);
}

std::vector<UpdateRange> cut(std::span<const UpdateRange> ranges) {
  std::vector<UpdateRange> chunks;
  for (const UpdateRange& range : ranges)
    for (int64_t begin = range.begin; begin < range.end; begin += kChunk) {
      UpdateRange chunk = range;
      chunk.begin = begin;
      chunk.end = std::min(begin + kChunk, range.end);
      chunks.push_back(chunk);
    }
  return chunks;
}

template <typename Update>
class CudaUpdateKernel : public UpdateKernel {
 public:
  CudaUpdateKernel(Update update, std::span<const UpdateRange> ranges)
      : update_(update), chunks_(std::span<const UpdateRange>(cut(ranges))) {}

  void run(const UpdateArgs& args) override {
    const Buffers buffers{args.parameters, args.gradients, args.moment1, args.moment2};
    const bool vectorised = all_aligned16(buffers.p, buffers.g, buffers.m, buffers.v);
    launch(update_chunks<Update>, dim3(static_cast<unsigned>(chunks_.size())), dim3(kThreads),
           args.stream, update_, chunks_.data(), buffers, args.step, vectorised);
  }

 private:
  Update update_;
  DeviceArray<UpdateRange> chunks_;
};

__device__ double square(float x) { return static_cast<double>(x) * static_cast<double>(x); }

// sums[i] = the sum of squares of elements [i, i + 1) * kNormBlock.
__global__ void __launch_bounds__(kThreads)
    norm_blocks(const float* x, int64_t elements, double* sums, bool vectorised) {
  const int64_t begin = int64_t{blockIdx.x} * kNormBlock;
  const int64_t end = begin + kNormBlock < elements ? begin + kNormBlock : elements;
  const int64_t fours_end = vectorised ? end / 4 : begin / 4;
  double sum = 0;
  for (int64_t i = begin / 4 + threadIdx.x; i < fours_end; i += kThreads) {
    const float4 v = load4(x, i);
    sum += (square(v.x) + square(v.y)) + (square(v.z) + square(v.w));
  }
  for (int64_t i = 4 * fours_end + threadIdx.x; i < end; i += kThreads) sum += square(x[i]);
  sum = block_reduce<kThreads>(sum, 0.0, Plus{});
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

__global__ void __launch_bounds__(kThreads)
    add_norm_blocks(const double* sums, int64_t count, double* total, bool accumulate) {
  double sum = 0;
  for (int64_t i = threadIdx.x; i < count; i += kThreads) sum += sums[i];
  sum = block_reduce<kThreads>(sum, 0.0, Plus{});
  if (threadIdx.x == 0) *total = accumulate ? *total + sum : sum;
}

class CudaNormKernel : public NormKernel {
 public:
  explicit CudaNormKernel(int64_t elements)
      : elements_(elements), sums_((elements + kNormBlock - 1) / kNormBlock) {}

  void run(const float* gradients, double* sum_of_squares, bool accumulate,
           Stream stream) override {
    if (elements_ > 0)
      launch(norm_blocks, dim3(static_cast<unsigned>(sums_.size())), dim3(kThreads), stream,
             gradients, elements_, sums_.data(), all_aligned16(gradients));
    launch(add_norm_blocks, dim3(1), dim3(kThreads), stream, sums_.data(), sums_.size(),
           sum_of_squares, accumulate);
  }

 private:
  int64_t elements_;
  DeviceArray<double> sums_;
};

__global__ void control(ControlOptions options, const double* control, const double* sum_of_squares,
                        StepState* step) {
  control_step(options, control, *sum_of_squares, step);
}

class CudaControlKernel : public ControlKernel {
 public:
  explicit CudaControlKernel(const ControlOptions& options) : options_(options) {}

  void run(const double* vector, const double* sum_of_squares, StepState* step,
           Stream stream) override {
    launch(control, dim3(1), dim3(1), stream, options_, vector, sum_of_squares, step);
  }

 private:
  ControlOptions options_;
};

}  // namespace

std::unique_ptr<UpdateKernel> make_cuda_update_kernel(const OptimizerOptions& options,
                                                      std::span<const UpdateRange> ranges,
                                                      const KernelContext&) {
  if (const auto* adam = std::get_if<AdamOptions>(&options))
    return std::make_unique<CudaUpdateKernel<AdamUpdate>>(AdamUpdate{*adam}, ranges);
  const SgdOptions& sgd = std::get<SgdOptions>(options);
  if (moment_count(options) == 0)
    return std::make_unique<CudaUpdateKernel<SgdUpdate>>(SgdUpdate{sgd}, ranges);
  return std::make_unique<CudaUpdateKernel<MomentumUpdate>>(MomentumUpdate{sgd}, ranges);
}

std::unique_ptr<UpdateKernel> make_cuda_average_kernel(const AverageOptions& options,
                                                       std::span<const UpdateRange> ranges,
                                                       const KernelContext&) {
  return std::make_unique<CudaUpdateKernel<AverageUpdate>>(AverageUpdate{options}, ranges);
}

std::unique_ptr<NormKernel> make_cuda_norm_kernel(int64_t elements, const KernelContext&) {
  return std::make_unique<CudaNormKernel>(elements);
}

std::unique_ptr<ControlKernel> make_cuda_control_kernel(const ControlOptions& options,
                                                        const KernelContext&) {
  return std::make_unique<CudaControlKernel>(options);
}

}  // namespace trireme::core

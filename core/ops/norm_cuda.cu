#include "core/cuda/bias_activation.h"
#include "core/cuda/function_kernel.h"
#include "core/cuda/row_group.cuh"
#include "core/cuda/vector4.cuh"
#include "core/ops/norm_rows.h"

namespace trireme::core {
namespace {

struct Forward {
  const float* x;
  const float* residual;  // null: s is x
  const float* weight;
  const float* bias;  // or null
  float* y;
  float* statistics;
  float* s;  // null without a residual
  bool fours;
};

__device__ const float* row_of(const float* matrix, int64_t at) {
  return matrix == nullptr ? nullptr : matrix + at;
}

// A row is read three times, the second and third time from the nearest cache: of the mean, of the
// variance (which must not cancel), of the result.
template <typename Group>
__global__ void __launch_bounds__(kRowThreads) forward(NormRows in, Forward p) {
  const auto count = static_cast<float>(in.width);
  for (int64_t row = Group::first_row(); row < in.rows; row += Group::row_stride()) {
    const int64_t at = row * in.width;
    const float *x = p.x + at, *residual = row_of(p.residual, at);
    const auto sum = [&](const auto& f) {
      return Group::reduce(
          sum_over_row(p.fours, in.width, Group::lane(), Group::kLanes, f, x, residual), 0.0f,
          Plus{});
    };
    const float mean = in.centered ? sum([](float a, float b) { return a + b; }) / count : 0.0f;
    const float squares = sum([=](float a, float b) { return (a + b - mean) * (a + b - mean); });
    const float scale = 1.0f / sqrtf(squares / count + in.epsilon);
    if (Group::lane() == 0) in.write(p.statistics, row, {mean, scale});
    if (p.s != nullptr)
      map_over_row(
          p.fours, p.s + at, in.width, Group::lane(), Group::kLanes,
          [](float a, float b) { return a + b; }, x, residual);
    map_over_row(
        p.fours, p.y + at, in.width, Group::lane(), Group::kLanes,
        [=](float a, float b, float weight, float bias) {
          return (a + b - mean) * scale * weight + bias;
        },
        x, residual, p.weight, p.bias);
  }
}

struct Backward {
  const float* dy;
  const float* s;
  const float* weight;
  const float* statistics;
  const float* later;  // or null
  float* ds;
  bool fours;
};

template <typename Group>
__global__ void __launch_bounds__(kRowThreads) backward(NormRows in, Backward p) {
  const float of_count = 1.0f / static_cast<float>(in.width);
  for (int64_t row = Group::first_row(); row < in.rows; row += Group::row_stride()) {
    const int64_t at = row * in.width;
    const float *dy = p.dy + at, *s = p.s + at;
    const RowStatistics of_row = in.read(p.statistics, row);
    const float mean = of_row.mean, scale = of_row.scale;
    const auto average = [&](const auto& f) {
      return of_count * Group::reduce(sum_over_row(p.fours, in.width, Group::lane(), Group::kLanes,
                                                   f, dy, p.weight, s),
                                      0.0f, Plus{});
    };
    const float mean_g =
        in.centered ? average([](float d, float w, float) { return d * w; }) : 0.0f;
    const float mean_gn =
        average([=](float d, float w, float v) { return d * w * ((v - mean) * scale); });
    map_over_row(
        p.fours, p.ds + at, in.width, Group::lane(), Group::kLanes,
        [=](float d, float w, float v, float later) {
          return scale * (d * w - mean_g - (v - mean) * scale * mean_gn) + later;
        },
        dy, p.weight, s, row_of(p.later, at));
  }
}

constexpr int kSumColumns = 32, kSumRows = 8;  // threads of a block

// Both sums over the rows of part blockIdx.y, of gridDim.y.   dweight, dbias  (parts, width)
__global__ void __launch_bounds__(kSumColumns* kSumRows)
    sum_parts(NormRows in, const float* dy, const float* s, const float* statistics, float* dweight,
              float* dbias) {
  TRIREME_SHARED(float, of_weight, kSumColumns* kSumRows);
  TRIREME_SHARED(float, of_bias, kSumColumns* kSumRows);
  const int64_t column = int64_t{blockIdx.x} * kSumColumns + threadIdx.x;
  const int64_t parts = gridDim.y, part = blockIdx.y;
  const int64_t begin = in.rows * part / parts, end = in.rows * (part + 1) / parts;
  float weight = 0, bias = 0;
  if (column < in.width)
    for (int64_t row = begin + threadIdx.y; row < end; row += kSumRows) {
      const RowStatistics of_row = in.read(statistics, row);
      const float d = dy[row * in.width + column];
      weight += d * ((s[row * in.width + column] - of_row.mean) * of_row.scale);
      bias += d;
    }
  of_weight[threadIdx.y * kSumColumns + threadIdx.x] = weight;
  of_bias[threadIdx.y * kSumColumns + threadIdx.x] = bias;
  __syncthreads();
  if (threadIdx.y != 0 || column >= in.width) return;
  for (int i = 1; i < kSumRows; ++i) {
    weight += of_weight[i * kSumColumns + threadIdx.x];
    bias += of_bias[i * kSumColumns + threadIdx.x];
  }
  dweight[part * in.width + column] = weight;
  dbias[part * in.width + column] = bias;
}

}  // namespace

std::unique_ptr<Kernel> Norm::cuda_kernel(const NodeTypes& types, const KernelContext&) const {
  const auto has = [&](size_t i) { return types.inputs.size() > i && types.inputs[i].present(); };
  return make_function_kernel([in = NormRows(options_, types.inputs[0]), has_bias = has(2),
                               has_residual = has(3)](const KernelArgs& args) {
    Forward p{.x = args.in<float>(0),
              .residual = has_residual ? args.in<float>(3) : nullptr,
              .weight = args.in<float>(1),
              .bias = has_bias ? args.in<float>(2) : nullptr,
              .y = args.out<float>(0),
              .statistics = args.out<float>(1),
              .s = has_residual ? args.out<float>(2) : nullptr,
              .fours = false};
    p.fours = in.width % 4 == 0 && all_aligned16(p.x, p.residual, p.weight, p.bias, p.y, p.s);
    with_row_group(in.width, [&](auto group) {
      using Group = decltype(group);
      launch(forward<Group>, blocks_for(in.rows, Group::kRowsPerBlock), dim3(kRowThreads),
             args.stream, in, p);
    });
  });
}

std::unique_ptr<Kernel> NormGrad::cuda_kernel(const NodeTypes& types, const KernelContext&) const {
  return make_function_kernel(
      [in = NormRows(options_, types.inputs[0]), has_later = has_later_](const KernelArgs& args) {
        Backward p{.dy = args.in<float>(0),
                   .s = args.in<float>(1),
                   .weight = args.in<float>(2),
                   .statistics = args.in<float>(3),
                   .later = has_later ? args.in<float>(4) : nullptr,
                   .ds = args.out<float>(0),
                   .fours = false};
        p.fours = in.width % 4 == 0 && all_aligned16(p.dy, p.s, p.weight, p.later, p.ds);
        with_row_group(in.width, [&](auto group) {
          using Group = decltype(group);
          launch(backward<Group>, blocks_for(in.rows, Group::kRowsPerBlock), dim3(kRowThreads),
                 args.stream, in, p);
        });
      });
}

std::unique_ptr<Kernel> NormGradWeight::cuda_kernel(const NodeTypes& types,
                                                    const KernelContext&) const {
  return make_function_kernel([in = NormRows(options_, types.inputs[0]),
                               has_bias = has_bias_](const KernelArgs& args) {
    const int64_t parts = norm_row_parts(in.rows);
    auto* of_weight = static_cast<float*>(args.workspace);
    float* of_bias = of_weight + parts * in.width;
    const dim3 grid(blocks_for(in.width, kSumColumns, INT32_MAX).x, static_cast<unsigned>(parts));
    launch(sum_parts, grid, dim3(kSumColumns, kSumRows), args.stream, in, args.in<float>(0),
           args.in<float>(1), args.in<float>(2), of_weight, of_bias);
    const auto finish = [&](const float* of_parts, float* sums) {
      column_sums(of_parts, sums, parts, in.width, args.accumulate, nullptr, args.stream);
    };
    finish(of_weight, args.out<float>(0));
    if (has_bias) finish(of_bias, args.out<float>(1));
  });
}

}  // namespace trireme::core

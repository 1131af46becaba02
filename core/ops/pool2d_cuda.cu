#include "core/cuda/function_kernel.h"
#include "core/cuda/limits.h"
#include "core/cuda/matrix_tile.cuh"
#include "core/cuda/vector4.cuh"
#include "core/ops/pool2d.h"

namespace trireme::core {
namespace {

struct Geometry {
  int h, w, channels, oh, ow;
  int kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w;
  bool count_include_pad;
};

// kLanes neighbouring channels, which one thread carries.
template <int kLanes>
struct Lanes {
  float of[kLanes];
};

template <int kLanes>
__device__ Lanes<kLanes> load(const float* pointer) {
  if constexpr (kLanes == 4) {
    const float4 v = load4(pointer, 0);
    return {{v.x, v.y, v.z, v.w}};
  } else {
    return {{*pointer}};
  }
}

template <int kLanes>
__device__ void store(float* pointer, const Lanes<kLanes>& v) {
  if constexpr (kLanes == 4)
    store4(pointer, 0, make_float4(v.of[0], v.of[1], v.of[2], v.of[3]));
  else
    *pointer = v.of[0];
}

// The part of one output's window that lies inside the image.
struct Window {
  int top, left;  // of the whole window; may lie in the padding
  int h_begin, h_end, w_begin, w_end;
};

__device__ Window window_of(const Geometry& g, int oh, int ow) {
  const int top = oh * g.stride_h - g.pad_h, left = ow * g.stride_w - g.pad_w;
  return {top,
          left,
          top < 0 ? 0 : top,
          top + g.kernel_h < g.h ? top + g.kernel_h : g.h,
          left < 0 ? 0 : left,
          left + g.kernel_w < g.w ? left + g.kernel_w : g.w};
}

__device__ float average_factor(const Geometry& g, const Window& window) {
  const int count = g.count_include_pad
                        ? g.kernel_h * g.kernel_w
                        : (window.h_end - window.h_begin) * (window.w_end - window.w_begin);
  return 1.0f / static_cast<float>(count);
}

// The outputs whose windows contain place `i` of an axis: [begin, end).
struct Outputs {
  int begin, end;
};

__device__ Outputs outputs_over(int i, int kernel, int stride, int pad, int outputs) {
  const int first = i + pad - kernel + 1;
  const int last = (i + pad) / stride + 1;
  return {first <= 0 ? 0 : (first + stride - 1) / stride, last < outputs ? last : outputs};
}

// Calls body(image, row, column, channel, offset) for each group of kLanes channels of images of
// `rows` x `columns` pixels.
template <int kLanes, typename Body>
__device__ void for_each_pixel(int64_t images, int rows, int columns, int channels,
                               const Body& body) {
  const unsigned groups = static_cast<unsigned>(channels / kLanes);
  for_each_of_matrix(images * rows, int64_t{columns} * groups, [&](int64_t r, int64_t c) {
    // 32-bit divisions: the constructors have checked that both extents fit.
    const unsigned row = static_cast<unsigned>(r), height = static_cast<unsigned>(rows);
    const unsigned column = static_cast<unsigned>(c) / groups;
    const int channel = static_cast<int>(static_cast<unsigned>(c) % groups) * kLanes;
    body(int64_t{row / height}, static_cast<int>(row % height), static_cast<int>(column), channel,
         (r * columns + column) * channels + channel);
  });
}

// `which` is the place in the whole window, the first of equals; a NaN wins and stays.
template <int kLanes, typename Which>
__global__ void __launch_bounds__(256)
    max_forward(Geometry g, int64_t images, const float* x, float* y, Which* which) {
  for_each_pixel<kLanes>(images, g.oh, g.ow, g.channels,
                         [&](int64_t image, int oh, int ow, int channel, int64_t offset) {
                           const Window window = window_of(g, oh, ow);
                           Lanes<kLanes> best{};
                           int place[kLanes] = {};
                           bool first = true;
                           for (int h = window.h_begin; h < window.h_end; ++h)
                             for (int w = window.w_begin; w < window.w_end; ++w) {
                               const Lanes<kLanes> v = load<kLanes>(
                                   x + ((image * g.h + h) * g.w + w) * g.channels + channel);
                               const int here = (h - window.top) * g.kernel_w + w - window.left;
                               for (int i = 0; i < kLanes; ++i)
                                 if (first || v.of[i] > best.of[i] ||
                                     (v.of[i] != v.of[i] && best.of[i] == best.of[i])) {
                                   best.of[i] = v.of[i];
                                   place[i] = here;
                                 }
                               first = false;
                             }
                           store(y + offset, best);
                           for (int i = 0; i < kLanes; ++i)
                             which[offset + i] = static_cast<Which>(place[i]);
                         });
}

// Each input gathers from the windows that contain it, in row order: no atomics.
template <int kLanes, typename Which>
__global__ void __launch_bounds__(256)
    max_backward(Geometry g, int64_t images, const float* dy, const Which* which, float* dx) {
  for_each_pixel<kLanes>(
      images, g.h, g.w, g.channels, [&](int64_t image, int h, int w, int channel, int64_t offset) {
        const Outputs ohs = outputs_over(h, g.kernel_h, g.stride_h, g.pad_h, g.oh);
        const Outputs ows = outputs_over(w, g.kernel_w, g.stride_w, g.pad_w, g.ow);
        Lanes<kLanes> sum{};
        for (int oh = ohs.begin; oh < ohs.end; ++oh)
          for (int ow = ows.begin; ow < ows.end; ++ow) {
            const int64_t out = ((image * g.oh + oh) * g.ow + ow) * g.channels + channel;
            const Lanes<kLanes> d = load<kLanes>(dy + out);
            const int here =
                (h + g.pad_h - oh * g.stride_h) * g.kernel_w + w + g.pad_w - ow * g.stride_w;
            for (int i = 0; i < kLanes; ++i)
              if (which[out + i] == here) sum.of[i] += d.of[i];
          }
        store(dx + offset, sum);
      });
}

template <int kLanes>
__global__ void __launch_bounds__(256)
    average_forward(Geometry g, int64_t images, const float* x, float* y) {
  for_each_pixel<kLanes>(images, g.oh, g.ow, g.channels,
                         [&](int64_t image, int oh, int ow, int channel, int64_t offset) {
                           const Window window = window_of(g, oh, ow);
                           const float factor = average_factor(g, window);
                           Lanes<kLanes> sum{};
                           for (int h = window.h_begin; h < window.h_end; ++h)
                             for (int w = window.w_begin; w < window.w_end; ++w) {
                               const Lanes<kLanes> v = load<kLanes>(
                                   x + ((image * g.h + h) * g.w + w) * g.channels + channel);
                               for (int i = 0; i < kLanes; ++i) sum.of[i] += v.of[i];
                             }
                           for (int i = 0; i < kLanes; ++i) sum.of[i] *= factor;
                           store(y + offset, sum);
                         });
}

template <int kLanes>
__global__ void __launch_bounds__(256)
    average_backward(Geometry g, int64_t images, const float* dy, float* dx) {
  for_each_pixel<kLanes>(
      images, g.h, g.w, g.channels, [&](int64_t image, int h, int w, int channel, int64_t offset) {
        const Outputs ohs = outputs_over(h, g.kernel_h, g.stride_h, g.pad_h, g.oh);
        const Outputs ows = outputs_over(w, g.kernel_w, g.stride_w, g.pad_w, g.ow);
        Lanes<kLanes> sum{};
        for (int oh = ohs.begin; oh < ohs.end; ++oh) {
          TRIREME_NO_UNROLL  // ptxas 13.0 spills for sm_100, and windows are small
          for (int ow = ows.begin; ow < ows.end; ++ow) {
            const float factor = average_factor(g, window_of(g, oh, ow));
            const Lanes<kLanes> d =
                load<kLanes>(dy + ((image * g.oh + oh) * g.ow + ow) * g.channels + channel);
            for (int i = 0; i < kLanes; ++i) sum.of[i] += factor * d.of[i];
          }
        }
        store(dx + offset, sum);
      });
}

// Rows of images and values of a row are counted in 32 bits.
void check_extents(const Shape& images) {
  (void)to_int32("pool2d", images[0] * images[1]);
  (void)to_int32("pool2d", images[2] * images[3]);
}

Geometry geometry_of(const Pool2dOptions& options, const Shape& x, const Shape& y) {
  check_extents(x);
  check_extents(y);
  const auto to_int = [](int64_t extent) { return to_int32("pool2d", extent); };
  return {to_int(x[1]),
          to_int(x[2]),
          to_int(x[3]),
          to_int(y[1]),
          to_int(y[2]),
          to_int(options.kernel_h),
          to_int(options.kernel_w),
          to_int(options.stride_h),
          to_int(options.stride_w),
          to_int(options.pad_h),
          to_int(options.pad_w),
          options.count_include_pad};
}

// Calls body(std::integral_constant<int, channels a thread carries>).
template <typename Body>
void with_lanes(bool by_fours, const Body& body) {
  if (by_fours)
    body(std::integral_constant<int, 4>{});
  else
    body(std::integral_constant<int, 1>{});
}

// Calls body(Which{}) with the type in which `dtype` counts places.
template <typename Body>
void with_place_type(DType dtype, const Body& body) {
  if (dtype == DType::kU8)
    body(uint8_t{});
  else
    body(int32_t{});
}

bool by_fours(const Geometry& g, const float* a, const float* b) {
  return g.channels % 4 == 0 && all_aligned16(a, b);
}

}  // namespace

std::unique_ptr<Kernel> Pool2d::cuda_kernel(const NodeTypes& types, const KernelContext&) const {
  const Shape& x = types.inputs[0].shape;
  const Geometry g = geometry_of(options_, x, types.outputs[0].shape);
  const bool is_max = options_.kind == PoolKind::kMax;
  const DType place = is_max ? types.outputs[1].dtype : DType::kNone;
  return make_function_kernel([g, images = x[0], is_max, place](const KernelArgs& args) {
    const float* x = args.in<float>(0);
    float* y = args.out<float>(0);
    with_lanes(by_fours(g, x, y), [&](auto lanes) {
      constexpr int kLanes = decltype(lanes)::value;
      const MatrixTile tile = tile_over(images * g.oh, int64_t{g.ow} * g.channels / kLanes);
      if (!is_max)
        return launch(average_forward<kLanes>, tile.grid, tile.block, args.stream, g, images, x, y);
      with_place_type(place, [&](auto zero) {
        using Which = decltype(zero);
        launch(max_forward<kLanes, Which>, tile.grid, tile.block, args.stream, g, images, x, y,
               args.out<Which>(1));
      });
    });
  });
}

std::unique_ptr<Kernel> Pool2dGrad::cuda_kernel(const NodeTypes& types,
                                                const KernelContext&) const {
  const Geometry g = geometry_of(options_, x_, types.inputs[0].shape);
  const bool is_max = options_.kind == PoolKind::kMax;
  const DType place = is_max ? types.inputs[1].dtype : DType::kNone;
  // The batch is that of dy: x_ may have been built for another micro-batch.
  const int64_t images = types.inputs[0].shape[0];
  return make_function_kernel([g, images, is_max, place](const KernelArgs& args) {
    const float* dy = args.in<float>(0);
    float* dx = args.out<float>(0);
    with_lanes(by_fours(g, dy, dx), [&](auto lanes) {
      constexpr int kLanes = decltype(lanes)::value;
      const MatrixTile tile = tile_over(images * g.h, int64_t{g.w} * g.channels / kLanes);
      if (!is_max)
        return launch(average_backward<kLanes>, tile.grid, tile.block, args.stream, g, images, dy,
                      dx);
      with_place_type(place, [&](auto zero) {
        using Which = decltype(zero);
        launch(max_backward<kLanes, Which>, tile.grid, tile.block, args.stream, g, images, dy,
               args.in<Which>(1), dx);
      });
    });
  });
}

}  // namespace trireme::core

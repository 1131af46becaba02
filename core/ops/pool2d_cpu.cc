#include <algorithm>
#include <cstring>

#include "core/cpu/parallel.h"
#include "core/cpu/simd.h"
#include "core/ops/pool2d.h"
#include "core/ops/pool2d_shape.h"

namespace trireme::core {
namespace {

// A window cut to the image: rows [h0, h1), columns [w0, w1).
struct Window {
  int64_t h0, h1, w0, w1;
  int64_t top, left;  // where it begins, in the padding perhaps

  int64_t place(int64_t h, int64_t w, int64_t kernel_w) const {
    return (h - top) * kernel_w + (w - left);
  }
};

struct Pool {
  Pool2dOptions options;
  Pool2dShape shape;

  Window window(int64_t oh, int64_t ow) const {
    const int64_t top = oh * options.stride_h - options.pad_h;
    const int64_t left = ow * options.stride_w - options.pad_w;
    return {.h0 = std::max<int64_t>(top, 0),
            .h1 = std::min(top + options.kernel_h, shape.h),
            .w0 = std::max<int64_t>(left, 0),
            .w1 = std::min(left + options.kernel_w, shape.w),
            .top = top,
            .left = left};
  }
  int64_t image() const { return shape.h * shape.w * shape.c; }
  int64_t result_image() const { return shape.oh * shape.ow * shape.c; }
  // Windows lie side by side, with nothing between them and no padding.
  bool tiles() const {
    return options.pad_h == 0 && options.pad_w == 0 && options.stride_h == options.kernel_h &&
           options.stride_w == options.kernel_w;
  }
  float share(const Window& window) const {
    const int64_t inside = (window.h1 - window.h0) * (window.w1 - window.w0);
    return 1.0F / static_cast<float>(options.count_include_pad ? options.kernel_h * options.kernel_w
                                                               : inside);
  }
};

#define TRIREME_INLINE inline __attribute__((always_inline))

// Channels are taken 8 at a time, a vector whatever their number: with fewer than 8 in a pixel the
// lanes left over run into the next pixel, and what they write there is overwritten when its turn
// comes. So `lanes` is 8, a constant, but for the last pixels of a row or an image.
constexpr int kLanes = 8;

// Calls body(first channel, lanes) over the channels of a pixel; `open`: 8 lanes may be touched
// from its first channel on.
template <typename Body>
TRIREME_INLINE void for_channels(int64_t channels, bool open, const Body& body) {
  if (channels < kLanes) {
    if (open)
      body(int64_t{0}, kLanes);
    else
      body(int64_t{0}, static_cast<int>(channels));
    return;
  }
  int64_t c = 0;
  for (; c + kLanes <= channels; c += kLanes) body(c, kLanes);
  if (c < channels) body(channels - kLanes, kLanes);  // some twice, to the same effect
}

// Vectors are memory to the compiler's calling conventions: they stay inside inlined functions.
typedef float FloatLanes __attribute__((vector_size(4 * kLanes)));
typedef int32_t IntLanes __attribute__((vector_size(4 * kLanes)));

template <typename Lanes, typename T>
TRIREME_INLINE void load(const T* from, int lanes, Lanes& to) {
  typedef T Raw __attribute__((vector_size(sizeof(T) * kLanes)));
  Raw raw{};
  if (lanes == kLanes)
    std::memcpy(&raw, from, sizeof raw);
  else
    std::memcpy(&raw, from, sizeof(T) * static_cast<size_t>(lanes));
  to = __builtin_convertvector(raw, Lanes);
}

template <typename Lanes, typename T>
TRIREME_INLINE void store(const Lanes& from, int lanes, T* to) {
  typedef T Raw __attribute__((vector_size(sizeof(T) * kLanes)));
  const Raw raw = __builtin_convertvector(from, Raw);
  if (lanes == kLanes)
    std::memcpy(to, &raw, sizeof raw);
  else
    std::memcpy(to, &raw, sizeof(T) * static_cast<size_t>(lanes));
}

// The largest of a window and its place, for `lanes` channels from x's on.
template <typename Which>
TRIREME_INLINE void max_lanes(const Pool& pool, const Window& window, const float* x, int lanes,
                              float* y, Which* which) {
  const int64_t row = pool.shape.w * pool.shape.c;
  const float* corner = x + window.h0 * row + window.w0 * pool.shape.c;
  auto first = static_cast<int32_t>(window.place(window.h0, window.w0, pool.options.kernel_w));
  FloatLanes best;
  load(corner, lanes, best);
  IntLanes best_place = IntLanes{} + first;
  for (int64_t h = window.h0; h < window.h1; ++h) {
    const float* pixel = corner;
    int32_t place = first;
    for (int64_t w = window.w0; w < window.w1; ++w) {
      FloatLanes value;
      load(pixel, lanes, value);
      // Greater or NaN: a NaN wins, and stays, so that it is not lost on the way to the loss.
      const IntLanes wins = ~(value <= best) & (best == best);
      best = wins ? value : best;
      best_place = wins ? IntLanes{} + place : best_place;
      pixel += pool.shape.c;
      ++place;
    }
    corner += row;
    first += static_cast<int32_t>(pool.options.kernel_w);
  }
  store(best, lanes, y);
  store(best_place, lanes, which);
}

template <typename Which>
TRIREME_INLINE void max_image(const Pool& pool, const float* x, float* y, Which* which) {
  for (int64_t oh = 0; oh < pool.shape.oh; ++oh)
    for (int64_t ow = 0; ow < pool.shape.ow; ++ow) {
      const Window window = pool.window(oh, ow);
      const int64_t at = (oh * pool.shape.ow + ow) * pool.shape.c;
      const int64_t corner = ((window.h1 - 1) * pool.shape.w + window.w1 - 1) * pool.shape.c;
      const bool open = at + kLanes <= pool.result_image() && corner + kLanes <= pool.image();
      for_channels(
          pool.shape.c, open, [&](int64_t c, int lanes) __attribute__((always_inline)) {
            max_lanes(pool, window, x + c, lanes, y + at + c, which + at + c);
          });
    }
}

TRIREME_SIMD void max_image_u8(const Pool& pool, const float* x, float* y, uint8_t* which) {
  max_image(pool, x, y, which);
}

TRIREME_SIMD void max_image_i32(const Pool& pool, const float* x, float* y, int32_t* which) {
  max_image(pool, x, y, which);
}

TRIREME_SIMD void average_image(const Pool& pool, const float* x, float* y) {
  const int64_t channels = pool.shape.c;
  for (int64_t oh = 0; oh < pool.shape.oh; ++oh)
    for (int64_t ow = 0; ow < pool.shape.ow; ++ow) {
      const Window window = pool.window(oh, ow);
      float* result = y + (oh * pool.shape.ow + ow) * channels;
      std::fill_n(result, channels, 0.0F);
      for (int64_t h = window.h0; h < window.h1; ++h)
        for (int64_t w = window.w0; w < window.w1; ++w) {
          const float* pixel = x + (h * pool.shape.w + w) * channels;
          for (int64_t c = 0; c < channels; ++c) result[c] += pixel[c];
        }
      const float share = pool.share(window);
      for (int64_t c = 0; c < channels; ++c) result[c] *= share;
    }
}

template <typename Which>
TRIREME_INLINE void max_grad_overlapping(const Pool& pool, const float* dy, const Which* which,
                                         float* dx) {
  const int64_t channels = pool.shape.c;
  std::fill_n(dx, pool.image(), 0.0F);
  for (int64_t oh = 0; oh < pool.shape.oh; ++oh)
    for (int64_t ow = 0; ow < pool.shape.ow; ++ow) {
      const Window window = pool.window(oh, ow);
      const int64_t at = (oh * pool.shape.ow + ow) * channels;
      for (int64_t h = window.h0; h < window.h1; ++h)
        for (int64_t w = window.w0; w < window.w1; ++w) {
          const auto place = static_cast<Which>(window.place(h, w, pool.options.kernel_w));
          float* pixel = dx + (h * pool.shape.w + w) * channels;
          for (int64_t c = 0; c < channels; ++c)
            pixel[c] += which[at + c] == place ? dy[at + c] : 0.0F;
        }
    }
}

// Windows side by side: every element of dx is under at most one and written once, so that nothing
// is added up.
template <typename Which>
TRIREME_INLINE void max_grad_tiled(const Pool& pool, const float* dy, const Which* which,
                                   float* dx) {
  const int64_t channels = pool.shape.c, row = pool.shape.w * channels;
  const int64_t kernel_h = pool.options.kernel_h, kernel_w = pool.options.kernel_w;
  for (int64_t oh = 0; oh < pool.shape.oh; ++oh)
    for (int64_t ow = 0; ow < pool.shape.ow; ++ow) {
      const int64_t at = (oh * pool.shape.ow + ow) * channels;
      float* corner = dx + oh * kernel_h * row + ow * kernel_w * channels;
      // The lanes left over must not reach the next row, whose first pixels are done already.
      const bool open = ow + 1 < pool.shape.ow && at + kLanes <= pool.result_image() &&
                        channels * kernel_w >= kLanes;
      for_channels(
          channels, open, [&](int64_t c, int lanes) __attribute__((always_inline)) {
            FloatLanes gradient;
            IntLanes place;
            load(dy + at + c, lanes, gradient);
            load(which + at + c, lanes, place);
            for (int64_t i = 0; i < kernel_h; ++i)
              for (int64_t j = 0; j < kernel_w; ++j) {
                const auto here = static_cast<int32_t>(i * kernel_w + j);
                const FloatLanes won = place == here ? gradient : FloatLanes{};
                store(won, lanes, corner + i * row + j * channels + c);
              }
          });
    }
  const int64_t columns = pool.shape.ow * kernel_w, rows = pool.shape.oh * kernel_h;
  for (int64_t h = 0; h < rows; ++h)
    std::fill(dx + h * row + columns * channels, dx + (h + 1) * row, 0.0F);
  std::fill(dx + rows * row, dx + pool.image(), 0.0F);
}

template <typename Which>
TRIREME_INLINE void max_grad_image(const Pool& pool, const float* dy, const Which* which,
                                   float* dx) {
  if (pool.tiles())
    max_grad_tiled(pool, dy, which, dx);
  else
    max_grad_overlapping(pool, dy, which, dx);
}

TRIREME_SIMD void max_grad_image_u8(const Pool& pool, const float* dy, const uint8_t* which,
                                    float* dx) {
  max_grad_image(pool, dy, which, dx);
}

TRIREME_SIMD void max_grad_image_i32(const Pool& pool, const float* dy, const int32_t* which,
                                     float* dx) {
  max_grad_image(pool, dy, which, dx);
}

TRIREME_SIMD void average_grad_image(const Pool& pool, const float* dy, float* dx) {
  const int64_t channels = pool.shape.c;
  std::fill_n(dx, pool.image(), 0.0F);
  for (int64_t oh = 0; oh < pool.shape.oh; ++oh)
    for (int64_t ow = 0; ow < pool.shape.ow; ++ow) {
      const Window window = pool.window(oh, ow);
      const float share = pool.share(window);
      const float* gradient = dy + (oh * pool.shape.ow + ow) * channels;
      for (int64_t h = window.h0; h < window.h1; ++h)
        for (int64_t w = window.w0; w < window.w1; ++w) {
          float* pixel = dx + (h * pool.shape.w + w) * channels;
          for (int64_t c = 0; c < channels; ++c) pixel[c] += gradient[c] * share;
        }
    }
}

class Pool2dKernel : public Kernel {
 public:
  Pool2dKernel(const Pool& pool, int threads) : pool_(pool), threads_(threads) {}

  void run(const KernelArgs& args) override {
    parallel_for(threads_, pool_.shape.n, 1, [&](int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; ++n) run_image(args, n);
    });
  }

 private:
  void run_image(const KernelArgs& args, int64_t n) const {
    const float* x = args.in<float>(0) + n * pool_.image();
    const int64_t at = n * pool_.result_image();
    float* y = args.out<float>(0) + at;
    if (pool_.options.kind == PoolKind::kAverage)
      average_image(pool_, x, y);
    else if (pool_which_dtype(pool_.options) == DType::kU8)
      max_image_u8(pool_, x, y, args.out<uint8_t>(1) + at);
    else
      max_image_i32(pool_, x, y, args.out<int32_t>(1) + at);
  }

  Pool pool_;
  int threads_;
};

class Pool2dGradKernel : public Kernel {
 public:
  Pool2dGradKernel(const Pool& pool, int threads) : pool_(pool), threads_(threads) {}

  void run(const KernelArgs& args) override {
    parallel_for(threads_, pool_.shape.n, 1, [&](int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; ++n) run_image(args, n);
    });
  }

 private:
  void run_image(const KernelArgs& args, int64_t n) const {
    const int64_t at = n * pool_.result_image();
    const float* dy = args.in<float>(0) + at;
    float* dx = args.out<float>(0) + n * pool_.image();
    if (pool_.options.kind == PoolKind::kAverage)
      average_grad_image(pool_, dy, dx);
    else if (pool_which_dtype(pool_.options) == DType::kU8)
      max_grad_image_u8(pool_, dy, args.in<uint8_t>(1) + at, dx);
    else
      max_grad_image_i32(pool_, dy, args.in<int32_t>(1) + at, dx);
  }

  Pool pool_;
  int threads_;
};

}  // namespace

std::unique_ptr<Kernel> Pool2d::cpu_kernel(const NodeTypes& types,
                                           const KernelContext& context) const {
  return std::make_unique<Pool2dKernel>(Pool{options_, pool_shape(options_, types.inputs[0].shape)},
                                        context.threads);
}

std::unique_ptr<Kernel> Pool2dGrad::cpu_kernel(const NodeTypes&,
                                               const KernelContext& context) const {
  return std::make_unique<Pool2dGradKernel>(Pool{options_, pool_shape(options_, x_)},
                                            context.threads);
}

}  // namespace trireme::core

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
  float share(const Window& window) const {
    const int64_t inside = (window.h1 - window.h0) * (window.w1 - window.w0);
    return 1.0F / static_cast<float>(options.count_include_pad ? options.kernel_h * options.kernel_w
                                                               : inside);
  }
};

// Runs over the channels, which lie next to each other.
template <typename Which>
inline __attribute__((always_inline)) void max_window(const Pool& pool, const Window& window,
                                                      const float* x, float* y, Which* which) {
  const int64_t channels = pool.shape.c;
  const auto first = static_cast<Which>(window.place(window.h0, window.w0, pool.options.kernel_w));
  const float* corner = x + (window.h0 * pool.shape.w + window.w0) * channels;
  for (int64_t c = 0; c < channels; ++c) {
    y[c] = corner[c];
    which[c] = first;
  }
  for (int64_t h = window.h0; h < window.h1; ++h)
    for (int64_t w = window.w0; w < window.w1; ++w) {
      const float* pixel = x + (h * pool.shape.w + w) * channels;
      const auto place = static_cast<Which>(window.place(h, w, pool.options.kernel_w));
      for (int64_t c = 0; c < channels; ++c) {
        // A NaN wins, and stays, so that it is not lost on the way to the loss.
        const bool wins = pixel[c] > y[c] || (pixel[c] != pixel[c] && y[c] == y[c]);
        y[c] = wins ? pixel[c] : y[c];
        which[c] = wins ? place : which[c];
      }
    }
}

TRIREME_SIMD void max_image_u8(const Pool& pool, const float* x, float* y, uint8_t* which) {
  for (int64_t oh = 0; oh < pool.shape.oh; ++oh)
    for (int64_t ow = 0; ow < pool.shape.ow; ++ow) {
      const int64_t at = (oh * pool.shape.ow + ow) * pool.shape.c;
      max_window(pool, pool.window(oh, ow), x, y + at, which + at);
    }
}

TRIREME_SIMD void max_image_i32(const Pool& pool, const float* x, float* y, int32_t* which) {
  for (int64_t oh = 0; oh < pool.shape.oh; ++oh)
    for (int64_t ow = 0; ow < pool.shape.ow; ++ow) {
      const int64_t at = (oh * pool.shape.ow + ow) * pool.shape.c;
      max_window(pool, pool.window(oh, ow), x, y + at, which + at);
    }
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
inline __attribute__((always_inline)) void max_grad_image(const Pool& pool, const float* dy,
                                                          const Which* which, float* dx) {
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

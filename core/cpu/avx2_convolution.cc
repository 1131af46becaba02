#include "core/cpu/avx2_convolution.h"

#include <algorithm>
#include <cstring>

#include "core/base/error.h"
#include "core/cpu/avx2_product.h"
#include "core/cpu/parallel.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

#define TRIREME_AVX2 __attribute__((target("avx2,fma")))

namespace trireme::core {
namespace {

constexpr int kVector = 8;

int64_t round_up(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

// What follows from a spec. The output channels are padded to `lanes`, 8 or a multiple of 16.
struct Geometry {
  explicit Geometry(const ConvolutionSpec& spec)
      : spec(spec),
        padded(spec.pad_h > 0 || spec.pad_w > 0),
        height(spec.h + 2 * spec.pad_h),
        row((spec.w + 2 * spec.pad_w) * spec.c),
        run(spec.kw * spec.c),
        window(spec.kh * run),
        lanes(spec.o <= kVector ? kVector : round_up(spec.o, 2 * kVector)),
        image_floats(padded ? round_up(height * row, 16) : 0) {}

  int64_t pixel_step() const { return spec.stride_w * spec.c; }
  int64_t run_step() const { return spec.dilation_h * row; }

  // The image with its padding around it: x itself, or a copy in `buffer`, whose border is zero.
  const float* image(const float* x, int64_t n, float* buffer) const {
    const float* from = x + n * spec.h * spec.w * spec.c;
    if (!padded) return from;
    const int64_t from_row = spec.w * spec.c;
    for (int64_t h = 0; h < spec.h; ++h)
      std::memcpy(buffer + (h + spec.pad_h) * row + spec.pad_w * spec.c, from + h * from_row,
                  static_cast<size_t>(from_row) * sizeof(float));
    return buffer;
  }

  const ConvolutionSpec& spec;
  bool padded;
  int64_t height;  // of the padded image
  int64_t row;     // floats in one of its rows
  int64_t run;     // contiguous floats of a window
  int64_t window;  // floats of a window
  int64_t lanes;
  int64_t image_floats;
};

// y (kRows pixels, kVectors x 8 channels) = f(windows (kRows, window) panel (window, ...) + bias).
template <int kRows, int kVectors>
TRIREME_AVX2 void forward_tile(const Geometry& g, const float* corner, const float* panel,
                               const float* bias, bool relu, float* y, int64_t y_row) {
  __m256 sums[kRows][kVectors];
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) sums[r][v] = _mm256_loadu_ps(bias + v * kVector);
  const int64_t step = g.pixel_step(), run = g.run, lanes = g.lanes;
  for (int64_t i = 0; i < g.spec.kh; ++i) {
    const float* a = corner + i * g.run_step();
    for (int64_t k = 0; k < run; ++k) {
      __m256 b[kVectors];
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) b[v] = _mm256_loadu_ps(panel + v * kVector);
      panel += lanes;
#pragma GCC unroll 12
      for (int r = 0; r < kRows; ++r) {
        const __m256 value = _mm256_broadcast_ss(a + r * step + k);
#pragma GCC unroll 2
        for (int v = 0; v < kVectors; ++v) sums[r][v] = _mm256_fmadd_ps(value, b[v], sums[r][v]);
      }
    }
  }
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) {
      // NaN stays NaN: maxps gives its second operand.
      const __m256 value = relu ? _mm256_max_ps(_mm256_setzero_ps(), sums[r][v]) : sums[r][v];
      _mm256_storeu_ps(y + r * y_row + v * kVector, value);
    }
}

using ForwardTile = void (*)(const Geometry&, const float*, const float*, const float*, bool,
                             float*, int64_t);
constexpr int kNarrowRows = 12, kWideRows = 6;  // pixels of a tile, of 8 channels and of 16
constexpr ForwardTile kNarrowTiles[] = {
    forward_tile<1, 1>, forward_tile<2, 1>,  forward_tile<3, 1>,  forward_tile<4, 1>,
    forward_tile<5, 1>, forward_tile<6, 1>,  forward_tile<7, 1>,  forward_tile<8, 1>,
    forward_tile<9, 1>, forward_tile<10, 1>, forward_tile<11, 1>, forward_tile<12, 1>};
constexpr ForwardTile kWideTiles[] = {forward_tile<1, 2>, forward_tile<2, 2>, forward_tile<3, 2>,
                                      forward_tile<4, 2>, forward_tile<5, 2>, forward_tile<6, 2>};

// One image. A tile's lanes past o run into the next pixels, which come later; only where they
// would leave the image does the tile go by way of `edge`.
void forward_image(const Geometry& g, const float* image, const float* panel, const float* bias,
                   float* y) {
  const ConvolutionSpec& spec = g.spec;
  const bool relu = spec.activation == ActivationKind::kRelu;
  const bool narrow = g.lanes == kVector;
  const int64_t tile_rows = narrow ? kNarrowRows : kWideRows;
  const int64_t tile_lanes = std::min<int64_t>(g.lanes, 2 * kVector);
  const float* end = y + spec.oh * spec.ow * spec.o;
  for (int64_t oh = 0; oh < spec.oh; ++oh)
    for (int64_t ow = 0; ow < spec.ow; ow += tile_rows) {
      const int64_t rows = std::min(tile_rows, spec.ow - ow);
      const ForwardTile tile = (narrow ? kNarrowTiles : kWideTiles)[rows - 1];
      const float* corner = image + oh * spec.stride_h * g.row + ow * g.pixel_step();
      float* pixels = y + (oh * spec.ow + ow) * spec.o;
      for (int64_t o = 0; o < spec.o; o += tile_lanes) {
        const int64_t channels = std::min(tile_lanes, spec.o - o);
        const bool open =
            channels == tile_lanes ||
            (g.lanes == tile_lanes && pixels + (rows - 1) * spec.o + tile_lanes <= end);
        if (open) {
          tile(g, corner, panel + o, bias + o, relu, pixels + o, spec.o);
          continue;
        }
        float edge[kNarrowRows * 2 * kVector];
        tile(g, corner, panel + o, bias + o, relu, edge, tile_lanes);
        for (int64_t r = 0; r < rows; ++r)
          std::copy_n(edge + r * tile_lanes, channels, pixels + r * spec.o + o);
      }
    }
}

// sums (kRuns x kRows elements of the window, kVectors x 8 channels) += over one image's pixels.
// kRows elements lie next to each other in each of kRuns runs of the window.
template <int kRuns, int kRows, int kVectors>
TRIREME_AVX2 void weight_tile(const Geometry& g, const float* corner, const float* dz, int64_t o,
                              float* sums) {
  const ConvolutionSpec& spec = g.spec;
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  __m256i mask[kVectors];
#pragma GCC unroll 2
  for (int v = 0; v < kVectors; ++v)
    mask[v] =
        _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(spec.o - o) - v * kVector), lane);
  __m256 acc[kRuns][kRows][kVectors];
#pragma GCC unroll 2
  for (int i = 0; i < kRuns; ++i)
#pragma GCC unroll 6
    for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) acc[i][r][v] = _mm256_setzero_ps();
  const int64_t step = g.pixel_step(), run_step = g.run_step(), channels = spec.o;
  dz += o;
  for (int64_t oh = 0; oh < spec.oh; ++oh) {
    const float* a = corner + oh * spec.stride_h * g.row;
    for (int64_t ow = 0; ow < spec.ow; ++ow) {
      __m256 b[kVectors];
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) b[v] = _mm256_maskload_ps(dz + v * kVector, mask[v]);
#pragma GCC unroll 2
      for (int i = 0; i < kRuns; ++i)
#pragma GCC unroll 6
        for (int r = 0; r < kRows; ++r) {
          const __m256 value = _mm256_broadcast_ss(a + i * run_step + r);
#pragma GCC unroll 2
          for (int v = 0; v < kVectors; ++v)
            acc[i][r][v] = _mm256_fmadd_ps(value, b[v], acc[i][r][v]);
        }
      a += step;
      dz += channels;
    }
  }
#pragma GCC unroll 2
  for (int i = 0; i < kRuns; ++i)
#pragma GCC unroll 6
    for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) {
        float* sum = sums + (i * g.run + r) * g.lanes + v * kVector;
        _mm256_storeu_ps(sum, _mm256_add_ps(_mm256_loadu_ps(sum), acc[i][r][v]));
      }
}

using WeightTile = void (*)(const Geometry&, const float*, const float*, int64_t, float*);
constexpr int kWeightRows = 6;
constexpr WeightTile kWeightTiles[3][kWeightRows] = {
    {weight_tile<1, 1, 2>, weight_tile<1, 2, 2>, weight_tile<1, 3, 2>, weight_tile<1, 4, 2>,
     weight_tile<1, 5, 2>, weight_tile<1, 6, 2>},
    {weight_tile<1, 1, 1>, weight_tile<1, 2, 1>, weight_tile<1, 3, 1>, weight_tile<1, 4, 1>,
     weight_tile<1, 5, 1>, weight_tile<1, 6, 1>},
    {weight_tile<2, 1, 1>, weight_tile<2, 2, 1>, weight_tile<2, 3, 1>, weight_tile<2, 4, 1>,
     weight_tile<2, 5, 1>, weight_tile<2, 6, 1>}};

// sums (window, lanes) += of one image.
void weight_image(const Geometry& g, const float* image, const float* dz, float* sums) {
  const bool narrow = g.lanes == kVector;
  const int64_t tile_lanes = narrow ? kVector : 2 * kVector;
  int64_t runs = 1;
  for (int64_t i = 0; i < g.spec.kh; i += runs) {
    // Eight sums or more keep the multiplier busy: of 8 channels, two runs together.
    runs = narrow && i + 1 < g.spec.kh ? 2 : 1;
    const auto& tiles = kWeightTiles[narrow ? runs : 0];
    for (int64_t k = 0; k < g.run; k += kWeightRows) {
      const int64_t rows = std::min<int64_t>(kWeightRows, g.run - k);
      for (int64_t o = 0; o < g.lanes; o += tile_lanes)
        tiles[rows - 1](g, image + i * g.run_step() + k, dz, o,
                        sums + (i * g.run + k) * g.lanes + o);
    }
  }
}

}  // namespace

bool suits_avx2_convolution(const ConvolutionSpec& spec) {
  return has_avx2_product() && spec.groups == 1 && spec.dilation_w == 1 && spec.c < 8;
}

int64_t avx2_convolution_workspace(const ConvolutionSpec& spec, int threads) {
  const Geometry g(spec);
  return 4 * ((g.window + 1) * g.lanes + threads * g.image_floats);
}

int64_t avx2_convolution_grad_weight_workspace(const ConvolutionSpec& spec, int threads) {
  const Geometry g(spec);
  return 4 * threads * (g.window * g.lanes + g.image_floats);
}

void avx2_convolution(const ConvolutionSpec& spec, const float* x, const float* weight,
                      const float* bias, float* y, void* workspace, int threads) {
  const Geometry g(spec);
  auto* panel = static_cast<float*>(workspace);
  float* biases = panel + g.window * g.lanes;
  float* buffers = biases + g.lanes;
  std::fill_n(panel, (g.window + 1) * g.lanes, 0.0F);
  for (int64_t o = 0; o < spec.o; ++o)
    for (int64_t k = 0; k < g.window; ++k) panel[k * g.lanes + o] = weight[o * g.window + k];
  if (bias) std::copy_n(bias, spec.o, biases);
  const int64_t parts = std::min<int64_t>(threads, spec.n);
  parallel_for(threads, parts, 1, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) {
      float* buffer = buffers + part * g.image_floats;
      std::fill_n(buffer, g.image_floats, 0.0F);
      for (int64_t n = spec.n * part / parts; n < spec.n * (part + 1) / parts; ++n)
        forward_image(g, g.image(x, n, buffer), panel, biases, y + n * spec.oh * spec.ow * spec.o);
    }
  });
}

void avx2_convolution_grad_weight(const ConvolutionSpec& spec, const float* dz, const float* x,
                                  bool accumulate, float* dw, void* workspace, int threads) {
  const Geometry g(spec);
  const int64_t sums_floats = g.window * g.lanes;
  auto* sums = static_cast<float*>(workspace);
  float* buffers = sums + threads * sums_floats;
  const int64_t parts = std::min<int64_t>(threads, spec.n);
  parallel_for(threads, parts, 1, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) {
      float* buffer = buffers + part * g.image_floats;
      std::fill_n(buffer, g.image_floats, 0.0F);
      std::fill_n(sums + part * sums_floats, sums_floats, 0.0F);
      for (int64_t n = spec.n * part / parts; n < spec.n * (part + 1) / parts; ++n)
        weight_image(g, g.image(x, n, buffer), dz + n * spec.oh * spec.ow * spec.o,
                     sums + part * sums_floats);
    }
  });
  for (int64_t o = 0; o < spec.o; ++o)
    for (int64_t k = 0; k < g.window; ++k) {
      float sum = sums[k * g.lanes + o];
      for (int64_t part = 1; part < parts; ++part)
        sum += sums[part * sums_floats + k * g.lanes + o];
      float& target = dw[o * g.window + k];
      target = accumulate ? target + sum : sum;
    }
}

}  // namespace trireme::core

#else

namespace trireme::core {

bool suits_avx2_convolution(const ConvolutionSpec&) { return false; }
int64_t avx2_convolution_workspace(const ConvolutionSpec&, int) { return 0; }
int64_t avx2_convolution_grad_weight_workspace(const ConvolutionSpec&, int) { return 0; }
void avx2_convolution(const ConvolutionSpec&, const float*, const float*, const float*, float*,
                      void*, int) {
  ensure(false, "a convolution for AVX2 on a CPU that has it");
}
void avx2_convolution_grad_weight(const ConvolutionSpec&, const float*, const float*, bool, float*,
                                  void*, int) {
  ensure(false, "a convolution for AVX2 on a CPU that has it");
}

}  // namespace trireme::core

#endif

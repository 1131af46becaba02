// oneDNN itself, also where an op's kernel would take our own loops on this CPU.
#include "core/cpu/onednn.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <new>
#include <numeric>

#include "core/base/error.h"
#include "tests/support/op_check.h"

namespace trireme::test {
namespace {

using core::ConvolutionSpec;
using core::onednn::Limits;
using core::onednn::MatmulSpec;

// Memory of the library's operands.
class Floats {
 public:
  explicit Floats(const std::vector<double>& values) : Floats(values.size()) {
    std::ranges::copy(values, data());
  }
  explicit Floats(size_t count)
      : count_(count),
        data_(static_cast<float*>(::operator new (count * sizeof(float), std::align_val_t{64}))) {
    std::fill_n(data(), count, -7.0F);
  }
  ~Floats() { ::operator delete (data_, std::align_val_t{64}); }
  Floats(const Floats&) = delete;
  Floats& operator=(const Floats&) = delete;

  float* data() { return data_; }
  std::vector<double> values() const { return {data_, data_ + count_}; }

 private:
  size_t count_;
  float* data_;
};

std::vector<double> normal(int64_t count, uint64_t seed) {
  return Random(seed).normal({count}).values;
}

constexpr int64_t kWorkspace = 1 << 20;

void check_matmul(const MatmulSpec& spec, bool prepared) {
  const auto a = normal(spec.m * spec.k, 1), b = normal(spec.k * spec.n, 2);
  const auto bias = normal(spec.n, 3), before = normal(spec.m * spec.n, 4);
  std::vector<double> want = spec.accumulate ? before : std::vector<double>(before.size());
  for (int64_t i = 0; i < spec.m; ++i)
    for (int64_t j = 0; j < spec.n; ++j) {
      double& sum = want[i * spec.n + j];
      if (spec.bias) sum += bias[j];
      for (int64_t l = 0; l < spec.k; ++l)
        sum += a[spec.a_transposed ? l * spec.m + i : i * spec.k + l] *
               b[spec.b_transposed ? j * spec.k + l : l * spec.n + j];
      if (spec.activation == core::ActivationKind::kRelu) sum = std::max(sum, 0.0);
    }
  Floats af(a), bf(b), biasf(bias), c(before), workspace(kWorkspace / 4), reordered(kWorkspace / 4);
  const Limits limits{
      .threads = 2, .workspace_bytes = kWorkspace, .prepared_bytes = prepared ? kWorkspace : 0};
  const auto product = core::onednn::make_matmul(spec, limits);
  product.prepare(bf.data(), reordered.data());
  const float* weight = product.wants_prepared() ? reordered.data() : bf.data();
  product.run({af.data(), weight, spec.bias ? biasf.data() : nullptr, c.data()}, workspace.data());
  EXPECT_EQ(difference(c.values(), want, 3e-6), "") << spec.m << " " << spec.n << " " << spec.k;
}

TEST(OneDnn, MultipliesMatrices) {
  for (bool prepared : {false, true})
    for (bool transposed : {false, true}) {
      check_matmul({.m = 7, .n = 11, .k = 13, .b_transposed = transposed, .bias = true}, prepared);
      check_matmul({.m = 1, .n = 1, .k = 1, .b_transposed = transposed}, prepared);
      check_matmul({.m = 65,
                    .n = 130,
                    .k = 33,
                    .b_transposed = transposed,
                    .bias = true,
                    .activation = core::ActivationKind::kRelu},
                   prepared);
    }
  for (bool accumulate : {false, true})
    check_matmul({.m = 7, .n = 11, .k = 13, .a_transposed = true, .accumulate = accumulate}, false);
}

ConvolutionSpec small_images() {
  return {.n = 2,
          .h = 7,
          .w = 6,
          .c = 3,
          .o = 5,
          .oh = 7,
          .ow = 6,
          .kh = 3,
          .kw = 3,
          .pad_h = 1,
          .pad_w = 1,
          .bias = true};
}

// Calls body(index in x, in w, in y) for every product of the sums.
template <typename Body>
void for_products(const ConvolutionSpec& s, const Body& body) {
  for (int64_t y = 0; y < s.n * s.oh * s.ow * s.o; ++y)
    for (int64_t k = 0; k < s.kh * s.kw * s.c; ++k) {
      const int64_t o = y % s.o, ow = y / s.o % s.ow, oh = y / s.o / s.ow % s.oh;
      const int64_t h = oh - s.pad_h + k / s.c / s.kw, w = ow - s.pad_w + k / s.c % s.kw;
      if (h < 0 || h >= s.h || w < 0 || w >= s.w) continue;
      const int64_t n = y / (s.o * s.ow * s.oh);
      body(((n * s.h + h) * s.w + w) * s.c + k % s.c, o * s.kh * s.kw * s.c + k, y);
    }
}

struct Convolved {
  std::vector<double> x, w, b, dz, y, dx, dw, db;

  explicit Convolved(const ConvolutionSpec& s)
      : x(normal(s.n * s.h * s.w * s.c, 1)),
        w(normal(s.o * s.kh * s.kw * s.c, 2)),
        b(normal(s.o, 3)),
        dz(normal(s.n * s.oh * s.ow * s.o, 4)),
        y(dz.size()),
        dx(x.size()),
        dw(w.size()),
        db(b.size()) {
    for (size_t i = 0; i < y.size(); ++i) {
      y[i] = b[i % b.size()];
      db[i % b.size()] += dz[i];
    }
    for_products(s, [&](int64_t xi, int64_t wi, int64_t yi) {
      y[yi] += x[xi] * w[wi];
      dx[xi] += dz[yi] * w[wi];
      dw[wi] += dz[yi] * x[xi];
    });
  }
};

void check_convolution(const ConvolutionSpec& spec, const Limits& limits) {
  const Convolved want(spec);
  Floats x(want.x), w(want.w), b(want.b), dz(want.dz), y(want.y.size()), dx(want.x.size()),
      dw(want.w.size()), db(want.b.size());
  Floats workspace(static_cast<size_t>(limits.workspace_bytes / 4 + 1)),
      prepared(static_cast<size_t>(limits.prepared_bytes / 4 + 1));
  const auto forward = core::onednn::make_convolution(spec, limits);
  forward.prepare(w.data(), prepared.data());
  forward.run({x.data(), forward.wants_prepared() ? prepared.data() : w.data(), b.data(), y.data()},
              workspace.data());
  EXPECT_EQ(difference(y.values(), want.y, 3e-6), "");

  const auto input = core::onednn::make_convolution_grad_input(spec, limits);
  input.prepare(w.data(), prepared.data());
  input.run({dz.data(), input.wants_prepared() ? prepared.data() : w.data(), dx.data()},
            workspace.data());
  EXPECT_EQ(difference(dx.values(), want.dx, 3e-6), "");

  const auto weight = core::onednn::make_convolution_grad_weight(spec, limits);
  weight.run({x.data(), dz.data(), dw.data(), db.data()}, workspace.data());
  EXPECT_EQ(difference(dw.values(), want.dw, 3e-6), "");
  EXPECT_EQ(difference(db.values(), want.db, 3e-6), "");
}

TEST(OneDnn, ConvolvesFewChannels) {
  for (int threads : {1, 2, 3}) {
    const Limits limits{
        .threads = threads, .workspace_bytes = kWorkspace, .prepared_bytes = kWorkspace};
    check_convolution(small_images(), limits);
    ConvolutionSpec one = small_images();
    one.c = 1;
    check_convolution(one, limits);
  }
}

// An implementation that wants more gives way to one that wants less.
TEST(OneDnn, KeepsToItsLimits) {
  ConvolutionSpec wide = small_images();
  wide.c = 8;
  wide.o = 16;
  check_convolution(wide, {.threads = 2, .workspace_bytes = 64, .prepared_bytes = 0});
  check_convolution(small_images(), {.threads = 2, .workspace_bytes = 64, .prepared_bytes = 64});
  check_convolution(wide, {.threads = 2, .workspace_bytes = kWorkspace, .prepared_bytes = 64});
}

}  // namespace
}  // namespace trireme::test

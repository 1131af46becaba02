// Products on CPUs with AVX2 against loops in double, at the edges of tiles, panels, blocks of rows
// and slabs.
#include "core/cpu/avx2_product.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <ostream>
#include <vector>

#include "tests/support/host_tensor.h"

namespace trireme::test {
namespace {

using core::Avx2Product;

std::vector<float> normal(int64_t count, uint64_t seed) {
  const HostTensor drawn = Random(seed).normal({count});
  return {drawn.values.begin(), drawn.values.end()};
}

struct Sizes {
  int64_t m, n, k;
};

std::ostream& operator<<(std::ostream& out, const Sizes& s) {
  return out << s.m << " x " << s.n << " x " << s.k;
}

class Avx2 : public testing::TestWithParam<Sizes> {
 protected:
  void SetUp() override {
    if (!core::has_avx2_product()) GTEST_SKIP() << "no AVX2, or AVX-512: oneDNN multiplies here";
  }

  // On memory that nobody has cleared.
  static std::vector<float> multiply(const Avx2Product& product, const float* bias, int threads) {
    const std::vector<float> a = normal(product.m * product.k, 1);
    const std::vector<float> b = normal(product.k * product.n, 2);
    std::vector<float> c = normal(product.m * product.n, 3);
    std::vector<float> workspace(product.workspace_bytes() / sizeof(float) + 16, NAN);
    void* aligned = workspace.data();
    size_t space = workspace.size() * sizeof(float);
    std::align(64, product.workspace_bytes(), aligned, space);
    product.run(a.data(), b.data(), bias, c.data(), threads, aligned);
    return c;
  }

  // The largest difference from the loop, over what rounding may make of it.
  static double error_of(const Avx2Product& p, const float* bias, const std::vector<float>& got) {
    const std::vector<float> a = normal(p.m * p.k, 1), b = normal(p.k * p.n, 2);
    const std::vector<float> before = normal(p.m * p.n, 3);
    double worst = 0;
    for (int64_t i = 0; i < p.m; ++i)
      for (int64_t j = 0; j < p.n; ++j) {
        double sum = p.accumulate ? before[i * p.n + j] : bias ? bias[j] : 0.0, magnitude = 1;
        for (int64_t d = 0; d < p.k; ++d) {
          const double term = double{a[p.a_transposed ? d * p.m + i : i * p.k + d]} *
                              double{b[p.b_transposed ? j * p.k + d : d * p.n + j]};
          sum += term;
          magnitude += std::abs(term);
        }
        if (p.relu) sum = std::max(sum, 0.0);
        worst = std::max(worst, std::abs(got[i * p.n + j] - sum) / magnitude);
      }
    return worst;
  }
};

TEST_P(Avx2, EqualsALoopInDoubleWithAnyThreads) {
  const auto [m, n, k] = GetParam();
  const std::vector<float> bias = normal(n, 4);
  for (const bool a_transposed : {false, true})
    for (const bool b_transposed : {false, true})
      for (const bool accumulate : {false, true}) {
        const Avx2Product product{.m = m,
                                  .n = n,
                                  .k = k,
                                  .a_transposed = a_transposed,
                                  .b_transposed = b_transposed,
                                  .accumulate = accumulate,
                                  .relu = !accumulate && a_transposed};
        SCOPED_TRACE(
            fmt::format("a {} b {} accumulate {}", a_transposed, b_transposed, accumulate));
        const float* added = accumulate ? nullptr : bias.data();
        const std::vector<float> one = multiply(product, added, 1);
        EXPECT_LT(error_of(product, added, one), 1e-6);
        EXPECT_EQ(multiply(product, added, 2), one);
        EXPECT_EQ(multiply(product, added, 5), one);
      }
}

// A rank's rows are the same whatever others it computes them with: LAYOUT counts on it.
TEST_P(Avx2, ARowDoesNotDependOnTheOthers) {
  const auto [m, n, k] = GetParam();
  const Avx2Product whole{.m = m, .n = n, .k = k, .b_transposed = true};
  const std::vector<float> all = multiply(whole, nullptr, 1);
  for (const int64_t rows : {int64_t{1}, (m + 1) / 2}) {
    Avx2Product part = whole;
    part.m = rows;
    const std::vector<float> few = multiply(part, nullptr, 1);
    EXPECT_TRUE(std::equal(few.begin(), few.end(), all.begin())) << rows << " rows";
  }
}

// 192 rows a block (96 where a is transposed), 512 depths a panel, 2,048 columns a slab.
INSTANTIATE_TEST_SUITE_P(Sizes, Avx2,
                         testing::Values(Sizes{1, 1, 1}, Sizes{5, 17, 3}, Sizes{96, 16, 512},
                                         Sizes{97, 33, 513}, Sizes{192, 40, 70},
                                         Sizes{193, 17, 1100}, Sizes{401, 100, 50},
                                         Sizes{194, 2049, 7}, Sizes{193, 4200, 3}));

}  // namespace
}  // namespace trireme::test

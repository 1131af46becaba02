// Bias, activation and column sums against plain loops in double.
#include "core/cuda/bias_activation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "emulator_device.h"
#include "tests/support/host_tensor.h"
#include "tests/support/references.h"

namespace trireme::test {
namespace {

using core::ActivationKind;

constexpr ActivationKind kKinds[] = {ActivationKind::kNone, ActivationKind::kRelu,
                                     ActivationKind::kGelu, ActivationKind::kGeluTanh,
                                     ActivationKind::kTanh, ActivationKind::kSigmoid,
                                     ActivationKind::kSilu};

struct Extents {
  int64_t rows, columns;
};
constexpr Extents kExtents[] = {{1, 1}, {3, 7}, {5, 8}, {17, 33}, {2, 1028}, {1031, 4}, {700, 10}};

std::vector<float> draw(uint64_t seed, int64_t count) {
  Random random(seed);
  const HostTensor tensor = random.normal({count}, 2);
  return {tensor.values.begin(), tensor.values.end()};
}

bool near(double got, double want, double scale) {
  return std::abs(got - want) <= 3e-6 * (std::abs(want) + scale);
}

// y and z from vectors that start `shift` floats past an aligned place.
void check_bias_activation(Extents e, ActivationKind kind, bool bias, bool in_place, int shift) {
  const int64_t n = e.rows * e.columns;
  const std::vector<float> product = draw(1, n), b = draw(2, e.columns);
  std::vector<float> z(n + shift), y(n + shift, -7);
  std::copy(product.begin(), product.end(), z.begin() + shift);
  float* out = in_place ? z.data() + shift : y.data() + shift;
  core::add_bias_activation(z.data() + shift, bias ? b.data() : nullptr, out, e.rows, e.columns,
                            kind, emulator_stream());
  for (int64_t i = 0; i < n; ++i) {
    const double before = product[i] + (bias ? static_cast<double>(b[i % e.columns]) : 0.0);
    ASSERT_TRUE(near(out[i], activate(kind, before), 1)) << name_of(kind) << " " << i;
    if (in_place) continue;
    ASSERT_TRUE(near(z[shift + i], before, 1)) << i;
  }
}

TEST(BiasActivation, AgreesWithALoop) {
  for (const emulator::Schedule schedule : all_schedules()) {
    emulator::set_schedule(schedule);
    for (const Extents e : kExtents)
      for (const ActivationKind kind : kKinds)
        check_bias_activation(e, kind, e.rows != 5, e.rows % 2 == 0, e.rows == 17 ? 1 : 0);
  }
  check_bias_activation({6, 8}, ActivationKind::kGelu, true, false, 0);
  check_bias_activation({6, 8}, ActivationKind::kGelu, true, false, 1);
}

std::vector<float> sums_under(emulator::Schedule schedule, Extents e, const std::vector<float>& dz,
                              bool accumulate) {
  emulator::set_schedule(schedule);
  std::vector<float> db(e.columns, accumulate ? 3.0f : std::numeric_limits<float>::quiet_NaN());
  // The exact size, so that AddressSanitizer sees its ends.
  std::vector<float> workspace(core::column_sums_workspace_bytes(e.rows, e.columns) / 4);
  core::column_sums(dz.data(), db.data(), e.rows, e.columns, accumulate, workspace.data(),
                    emulator_stream());
  return db;
}

TEST(ColumnSums, AgreeWithALoopAndAreTheSameInEveryOrder) {
  for (const Extents e : kExtents) {
    const std::vector<float> dz = draw(3, e.rows * e.columns);
    for (bool accumulate : {false, true}) {
      const std::vector<float> got = sums_under(all_schedules()[0], e, dz, accumulate);
      for (int64_t c = 0; c < e.columns; ++c) {
        double want = accumulate ? 3 : 0, size = 0;
        for (int64_t r = 0; r < e.rows; ++r) {
          want += dz[r * e.columns + c];
          size += std::abs(dz[r * e.columns + c]);
        }
        ASSERT_TRUE(near(got[c], want, 0.1 * size)) << got[c] << " " << want;
      }
      for (const emulator::Schedule schedule : all_schedules())
        EXPECT_EQ(sums_under(schedule, e, dz, accumulate), got);
    }
  }
}

}  // namespace
}  // namespace trireme::test

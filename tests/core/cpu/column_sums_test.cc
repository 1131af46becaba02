#include "core/cpu/column_sums.h"

#include <gtest/gtest.h>

#include <vector>

namespace trireme::core {
namespace {

// Whole numbers: sums are exact in any order.
TEST(ColumnSums, AreExactForWholeNumbers) {
  for (int threads : {1, 3})
    for (int64_t columns : {1, 6, 10, 16, 31, 32, 33, 64, 65, 130})
      for (int64_t rows : {1, 2, 7, 127, 129, 700})
        for (bool accumulate : {false, true}) {
          std::vector<float> x(static_cast<size_t>(rows * columns));
          for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i * 7 % 23) - 11;
          std::vector<float> sums(static_cast<size_t>(columns), 5), want(sums);
          for (int64_t j = 0; j < columns; ++j) {
            if (!accumulate) want[j] = 0;
            for (int64_t i = 0; i < rows; ++i) want[j] += x[i * columns + j];
          }
          column_sums(x.data(), rows, columns, accumulate, sums.data(), threads);
          EXPECT_EQ(sums, want) << rows << " x " << columns;
        }
}

// One running sum of so many terms would be off by some thousandths.
TEST(ColumnSums, KeepTheirDigitsOverManyRows) {
  const int64_t rows = int64_t{1} << 22;
  const std::vector<float> x(static_cast<size_t>(rows), 0.1F);
  float sum = 0;
  column_sums(x.data(), rows, 1, false, &sum, 1);
  EXPECT_NEAR(sum, 0.1F * static_cast<double>(rows), 1e-5 * 0.1 * static_cast<double>(rows));
}

}  // namespace
}  // namespace trireme::core

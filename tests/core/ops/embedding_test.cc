#include "core/ops/embedding.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/op_check.h"
#include "tests/support/references.h"

namespace trireme::test {
namespace {

using core::DType;
using core::Embedding;
using core::ValueType;

HostTensor integers(core::Shape shape, std::vector<double> values) {
  return tensor_of(DType::kI32, shape, std::move(values));
}

// The guard zones of run_op see writes; that nothing is read outside is for AddressSanitizer.
TEST(Embedding, ForeignTokensGiveNanAndReadNothing) {
  const auto device = make_cpu_op_device(2);
  Random random(51);
  const HostTensor table = random.normal({7, 5});
  const HostTensor tokens = integers({2, 3}, {0, 7, 6, -1, 3, 2147483647});
  const auto y = run_op(*device, Embedding(), {tokens, table})[0].values;
  for (size_t row = 0; row < 6; ++row)
    for (size_t h = 0; h < 5; ++h) {
      const auto token = static_cast<size_t>(tokens.values[row]);
      if (row == 1 || row == 3 || row == 5)
        EXPECT_TRUE(std::isnan(y[row * 5 + h]));
      else
        EXPECT_EQ(y[row * 5 + h], table.values[token * 5 + h]);
    }
  const auto gradient =
      run_op(*device, core::EmbeddingGrad({}, 7), {random.normal({2, 3, 5}), tokens})[0].values;
  for (size_t h = 0; h < 5; ++h) {
    EXPECT_NE(gradient[6 * 5 + h], 0);
    EXPECT_EQ(gradient[5 * 5 + h], 0);
  }
}

TEST(Embedding, PositionsOutsideOfTheirTableGiveNan) {
  const auto device = make_cpu_op_device(1);
  Random random(52);
  const auto y = run_op(*device, Embedding(),
                        {integers({3, 2}, {0, 1, 2, 0, 1, 2}), random.normal({3, 4}),
                         random.normal({6, 4}), integers({3}, {4, 5, -1})})[0]
                     .values;
  for (size_t row = 0; row < 6; ++row)
    EXPECT_EQ(std::isnan(y[row * 4]), row == 3 || row == 4) << row;
}

// Slices of the vocabulary add up to the whole, as tensor parallelism adds them.
TEST(Embedding, SlicesAddUp) {
  const auto device = make_cpu_op_device(1);
  Random random(53);
  const HostTensor table = random.normal({10, 3}), tokens = random.labels({4, 9}, 10);
  const auto whole = run_op(*device, Embedding(), {tokens, table})[0].values;
  std::vector<double> sum(whole.size());
  for (const auto& [first, rows] : {std::pair<int64_t, int64_t>{0, 3}, {3, 6}, {9, 1}}) {
    const auto begin = table.values.begin() + first * 3;
    const HostTensor part =
        tensor_of(DType::kF32, {rows, 3}, std::vector<double>(begin, begin + rows * 3));
    const Embedding slice({.first_token = first, .vocabulary = 10});
    const auto y = run_op(*device, slice, {tokens, part})[0].values;
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += y[i];
  }
  EXPECT_EQ(sum, whole);
}

TEST(Embedding, RefusesWhatDoesNotFit) {
  const ValueType tokens{{2, 8}, DType::kI32}, table{{50, 4}, DType::kF32};
  const Embedding op;
  expect_refusal(op, {{{2, 8}, DType::kF32}, table},
                 "[embedding] expects tokens i32(B, S), got f32(2, 8)");
  expect_refusal(op, {tokens, {{50}, DType::kF32}},
                 "[embedding] expects table f32(rows, H), not empty, got f32(50)");
  expect_refusal(op, {tokens, table, {{7, 4}, DType::kF32}},
                 "[embedding] expects position_table (P, 4) with P at least 8, got f32(7, 4)");
  expect_refusal(op, {tokens, table, {}, {{2}, DType::kI32}},
                 "[embedding] expects positions only beside a position_table");
  expect_refusal(op, {tokens, table, {{9, 4}, DType::kF32}, {{3}, DType::kI32}},
                 "[embedding] expects positions i32(2), one a sample, got i32(3)");
  expect_refusal(Embedding({.first_token = 40, .vocabulary = 80}), {tokens, table},
                 "[embedding] expects a slice of the vocabulary of 80, got tokens 40 to 89");
}

}  // namespace
}  // namespace trireme::test

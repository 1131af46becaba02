// Linear and its gradients with bf16 and f16 operands against loops in double over operands that
// were rounded first. Where the CPU has bf16 products, they are tested as well.
#include <gtest/gtest.h>

#include <cmath>

#include "core/base/error.h"
#include "core/cpu/half_products.h"
#include "core/cpu/onednn.h"
#include "core/graph/precision.h"
#include "core/kernels/half.h"
#include "core/ops/linear.h"
#include "tests/support/op_check.h"
#include "tests/support/references.h"

namespace trireme::test {
namespace {

using core::ActivationKind;
using core::DType;
using core::HalfProducts;
using core::Linear;
using core::LinearGradInput;
using core::LinearGradWeight;
using core::Shape;
using Values = std::vector<double>;

constexpr float kScale = 1024;

// As the kernels round; f16 gradients by way of the loss scale.
Values rounded(DType dtype, const HostTensor& tensor, float scale = 1) {
  Values values;
  for (double value : tensor.values)
    values.push_back(core::rounded_to(dtype, static_cast<float>(value) * scale) / scale);
  return values;
}

// c (m, n) = a (m, k) b (k, n), element (i, j) of a being a[i * a_row + j * a_column].
struct Strides {
  int64_t row, column;
};
Values product(const Values& a, Strides as, const Values& b, Strides bs, int64_t m, int64_t n,
               int64_t k) {
  Values c(m * n);
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j)
      for (int64_t l = 0; l < k; ++l)
        c[i * n + j] += a[i * as.row + l * as.column] * b[l * bs.row + j * bs.column];
  return c;
}

struct Sizes {
  int64_t rows, in, out;
};

class LinearHalf : public testing::TestWithParam<std::tuple<DType, HalfProducts>> {
 protected:
  void SetUp() override {
    std::tie(dtype_, half_) = GetParam();
    if (dtype_ == DType::kF16) {
      setting_.step.loss_scale = kScale;
      setting_.step.inverse_loss_scale = 1 / kScale;
    }
  }
  float gradient_scale() const { return setting_.step.loss_scale; }

  void check_forward(Sizes s, bool bias, ActivationKind kind);
  void check_gradients(Sizes s);
  HostTensor run(const core::Op& op, const std::vector<HostTensor>& inputs, int output = 0,
                 const RunOptions& options = {}) {
    return run_op(*device_, op, inputs, setting_, options).at(output);
  }
  static void expect_near(const char* what, const HostTensor& got, const Values& want) {
    EXPECT_EQ(difference(got.values, want, 2e-6), "") << what;
  }

  DType dtype_ = DType::kBF16;
  HalfProducts half_ = HalfProducts::kRounded;
  OpSetting setting_;
  Random random_{17};
  std::unique_ptr<OpDevice> device_ = make_cpu_op_device(2, std::get<1>(GetParam()));
};

void LinearHalf::check_forward(Sizes s, bool bias, ActivationKind kind) {
  const HostTensor x = random_.normal({s.rows, s.in}), w = random_.normal({s.out, s.in});
  const HostTensor b = bias ? random_.normal({s.out}) : absent();
  Values z =
      product(rounded(dtype_, x), {s.in, 1}, rounded(dtype_, w), {1, s.in}, s.rows, s.out, s.in);
  for (size_t i = 0; i < z.size(); ++i) {
    if (bias) z[i] += b.values[i % s.out];
    z[i] = activate(kind, z[i]);
  }
  const Linear op({.activation = kind, .operands = dtype_});
  expect_near("y", run(op, {x, w, b}), z);
}

void LinearHalf::check_gradients(Sizes s) {
  const HostTensor x = random_.normal({s.rows, s.in}), w = random_.normal({s.out, s.in});
  const HostTensor dz = random_.normal({s.rows, s.out}, 1e-6);
  const Values dz_rounded = rounded(dtype_, dz, gradient_scale());
  expect_near("dx", run(LinearGradInput(dtype_), {dz, w}),
              product(dz_rounded, {s.out, 1}, rounded(dtype_, w), {s.in, 1}, s.rows, s.in, s.out));
  Values dw = product(dz_rounded, {1, s.out}, rounded(dtype_, x), {s.in, 1}, s.out, s.in, s.rows);
  expect_near("dW", run(LinearGradWeight(false, dtype_), {dz, x}), dw);
  Values db(s.out);
  for (int64_t i = 0; i < s.rows * s.out; ++i) db[i % s.out] += dz.values[i];  // not rounded
  expect_near("db", run(LinearGradWeight(true, dtype_), {dz, x}, 1), db);

  RunOptions onto;
  onto.accumulate_onto = {random_.normal({s.out, s.in}, 1e-6)};
  for (size_t i = 0; i < dw.size(); ++i) dw[i] += onto.accumulate_onto[0].values[i];
  expect_near("dW, added", run(LinearGradWeight(false, dtype_), {dz, x}, 0, onto), dw);
}

TEST_P(LinearHalf, RoundsWhatItMultipliesAndNothingElse) {
  for (bool bias : {false, true}) {
    check_forward({1, 1, 1}, bias, ActivationKind::kNone);
    check_forward({7, 13, 11}, bias, ActivationKind::kNone);
    check_forward({67, 65, 33}, bias, ActivationKind::kRelu);
    check_forward({5, 130, 17}, bias, ActivationKind::kGeluTanh);
  }
}

TEST_P(LinearHalf, Gradients) {
  for (const Sizes s : {Sizes{1, 1, 1}, {7, 13, 11}, {67, 65, 33}, {130, 17, 5}})
    check_gradients(s);
}

std::vector<std::tuple<DType, HalfProducts>> kinds() {
  std::vector<std::tuple<DType, HalfProducts>> all{{DType::kBF16, HalfProducts::kRounded},
                                                   {DType::kF16, HalfProducts::kRounded}};
  if (core::onednn::multiplies_bf16()) all.emplace_back(DType::kBF16, HalfProducts::kNative);
  return all;
}

std::string name_of_kind(const testing::TestParamInfo<std::tuple<DType, HalfProducts>>& info) {
  const bool native = std::get<1>(info.param) == HalfProducts::kNative;
  return std::string(name_of(std::get<0>(info.param))) + (native ? "_native" : "_rounded");
}

INSTANTIATE_TEST_SUITE_P(Kinds, LinearHalf, testing::ValuesIn(kinds()), name_of_kind);

std::string refusal(DType dtype) {
  Random random(1);
  try {
    run_op(*make_cpu_op_device(1), Linear({.operands = dtype}),
           {random.normal({2, 3}), random.normal({4, 3})});
  } catch (const InvalidArgument& error) {
    return error.what();
  }
  return "";
}

TEST(LinearHalfRefusal, SaysWhatTheCpuLacks) {
  EXPECT_EQ(refusal(DType::kF32), "");
  EXPECT_EQ(refusal(DType::kF16), "[linear] f16 is for GPUs");
  if (core::onednn::multiplies_bf16())
    EXPECT_EQ(refusal(DType::kBF16), "");
  else
    EXPECT_TRUE(refusal(DType::kBF16)
                    .starts_with("[linear] bf16 needs AVX512-BF16 or AMX, and this CPU has "));
}

// f16 without a scale loses what bf16 and a scale keep.
TEST(LinearHalfScale, KeepsSmallGradientsAndOverflowsVisibly) {
  const auto device = make_cpu_op_device(1, HalfProducts::kRounded);
  const auto dx = [&](DType dtype, double dz, float scale) {
    OpSetting setting;
    setting.step.loss_scale = scale;
    return run_op(*device, LinearGradInput(dtype),
                  {tensor_of(DType::kF32, {1, 1}, {dz}), tensor_of(DType::kF32, {1, 1}, {1})},
                  setting)[0]
        .values[0];
  };
  EXPECT_EQ(dx(DType::kF16, 1e-9, 1), 0);
  EXPECT_NEAR(dx(DType::kF16, 1e-9, 65536), 1e-9, 1e-12);
  EXPECT_NEAR(dx(DType::kBF16, 1e-9, 65536), 1e-9, 4e-12);
  EXPECT_TRUE(std::isinf(dx(DType::kF16, 2, 65536)));
  EXPECT_NEAR(dx(DType::kBF16, 2, 65536), 2, 0);
}

// Of the forward graph; backward follows, and a rewrite keeps the rest of the options.
TEST(Precision, ReachesEveryProduct) {
  core::Graph graph;
  const auto x = graph.input("x", {{2, 3}, DType::kF32});
  const auto w = graph.parameter("w", {{4, 3}, DType::kF32}, {});
  const core::LinearOptions options{.activation = ActivationKind::kRelu};
  graph.add1("fc", std::make_shared<Linear>(options), {x, w, core::kNoValue});
  core::set_precision(graph, DType::kBF16);
  const auto& linear = dynamic_cast<const Linear&>(*graph.node(0).op);
  EXPECT_EQ(linear.options().operands, DType::kBF16);
  EXPECT_EQ(linear.options().activation, ActivationKind::kRelu);
  core::set_precision(graph, DType::kF32);
  EXPECT_EQ(graph.node(0).op->operands(), DType::kF32);
}

}  // namespace
}  // namespace trireme::test

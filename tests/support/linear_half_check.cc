#include "tests/support/linear_half_check.h"

#include <gtest/gtest.h>

#include "core/kernels/half.h"
#include "core/ops/linear.h"
#include "tests/support/references.h"

namespace trireme::test {
namespace {

using core::ActivationKind;
using core::DType;
using Values = std::vector<double>;

constexpr float kScale = 1024;

// Element (i, j) of a matrix is at i * row + j * column.
struct Strides {
  int64_t row, column;
};

// c (m, n) = a (m, k) b (k, n)
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

class Checker {
 public:
  Checker(OpDevice& device, DType dtype) : device_(device), dtype_(dtype) {
    if (dtype != DType::kF16) return;
    setting_.step.loss_scale = kScale;
    setting_.step.inverse_loss_scale = 1 / kScale;
  }

  void forward(Sizes s, bool bias, ActivationKind kind);
  void gradients(Sizes s);

 private:
  Values rounded(const HostTensor& tensor, float scale = 1) const {
    Values values;
    for (double value : tensor.values)
      values.push_back(core::rounded_to(dtype_, static_cast<float>(value) * scale) / scale);
    return values;
  }
  void expect(const char* what, const core::Op& op, const std::vector<HostTensor>& inputs,
              const Values& want, int output = 0, const RunOptions& options = {}) {
    const HostTensor got = run_op(device_, op, inputs, setting_, options).at(output);
    EXPECT_EQ(difference(got.values, want, 2e-6), "") << name_of(dtype_) << " " << what;
  }

  OpDevice& device_;
  DType dtype_;
  OpSetting setting_;
  Random random_{17};
};

void Checker::forward(Sizes s, bool bias, ActivationKind kind) {
  const HostTensor x = random_.normal({s.rows, s.in}), w = random_.normal({s.out, s.in});
  const HostTensor b = bias ? random_.normal({s.out}) : absent();
  Values y = product(rounded(x), {s.in, 1}, rounded(w), {1, s.in}, s.rows, s.out, s.in);
  for (size_t i = 0; i < y.size(); ++i)
    y[i] = activate(kind, y[i] + (bias ? b.values[i % s.out] : 0));  // not rounded
  expect("y", core::Linear({.activation = kind, .operands = dtype_}), {x, w, b}, y);
}

void Checker::gradients(Sizes s) {
  const HostTensor x = random_.normal({s.rows, s.in}), w = random_.normal({s.out, s.in});
  const HostTensor dz = random_.normal({s.rows, s.out}, 1e-6);
  const Values dz_rounded = rounded(dz, setting_.step.loss_scale);
  expect("dx", core::LinearGradInput(dtype_), {dz, w},
         product(dz_rounded, {s.out, 1}, rounded(w), {s.in, 1}, s.rows, s.in, s.out));
  const core::LinearGradWeight grad_weight(true, dtype_);
  Values dw = product(dz_rounded, {1, s.out}, rounded(x), {s.in, 1}, s.out, s.in, s.rows);
  Values db(s.out);
  for (int64_t i = 0; i < s.rows * s.out; ++i) db[i % s.out] += dz.values[i];  // not rounded
  expect("dW", grad_weight, {dz, x}, dw);
  expect("db", grad_weight, {dz, x}, db, 1);

  const RunOptions onto{
      .accumulate_onto = {random_.normal({s.out, s.in}, 1e-6), random_.normal({s.out}, 1e-6)}};
  for (size_t i = 0; i < dw.size(); ++i) dw[i] += onto.accumulate_onto[0].values[i];
  for (size_t i = 0; i < db.size(); ++i) db[i] += onto.accumulate_onto[1].values[i];
  expect("dW, added", grad_weight, {dz, x}, dw, 0, onto);
  expect("db, added", grad_weight, {dz, x}, db, 1, onto);
}

}  // namespace

void check_linear_half(OpDevice& device, DType dtype) {
  Checker checker(device, dtype);
  for (bool bias : {false, true}) {
    checker.forward({1, 1, 1}, bias, ActivationKind::kNone);
    checker.forward({7, 13, 11}, bias, ActivationKind::kNone);
    checker.forward({67, 65, 33}, bias, ActivationKind::kRelu);
    checker.forward({5, 130, 17}, bias, ActivationKind::kGeluTanh);
    checker.forward({32, 64, 48}, bias, ActivationKind::kNone);
  }
  for (const Sizes s : {Sizes{1, 1, 1}, {7, 13, 11}, {67, 65, 33}, {130, 17, 5}, {32, 64, 48}})
    checker.gradients(s);
}

}  // namespace trireme::test

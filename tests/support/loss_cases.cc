#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/ops/accuracy.h"
#include "core/ops/mean_squared_error.h"
#include "core/ops/softmax_cross_entropy.h"
#include "tests/support/op_cases.h"

namespace trireme::test {
namespace {

using core::Shape;

constexpr int32_t kIgnore = -100;

double weight_of(const std::vector<HostTensor>& inputs, size_t operand, int64_t row, int64_t rows) {
  if (operand >= inputs.size() || !inputs[operand].present()) return 1;
  return inputs[operand].values[row / (rows / inputs[operand].size())];
}

Reference cross_entropy(double smoothing) {
  return [=](const std::vector<HostTensor>& inputs) {
    const int64_t classes = inputs[0].type.shape[-1];
    const int64_t rows = inputs[1].size();
    std::vector<double> sums(2), lse(static_cast<size_t>(rows));
    for (int64_t r = 0; r < rows; ++r) {
      const double* x = inputs[0].values.data() + r * classes;
      const double max = *std::max_element(x, x + classes);
      double sum = 0, mean = 0;
      for (int64_t c = 0; c < classes; ++c) sum += std::exp(x[c] - max);
      for (int64_t c = 0; c < classes; ++c) mean += x[c] / static_cast<double>(classes);
      lse[r] = max + std::log(sum);
      const auto label = static_cast<int64_t>(inputs[1].values[r]);
      const double w = weight_of(inputs, 2, r, rows);
      if (label == kIgnore || w == 0) continue;
      sums[0] += w * (lse[r] - (1 - smoothing) * x[label] - smoothing * mean);
      sums[1] += w;
    }
    return OutputValues{sums, lse};
  };
}

Reference accuracy() {
  return [](const std::vector<HostTensor>& inputs) {
    const int64_t classes = inputs[0].type.shape[-1];
    const int64_t rows = inputs[1].size();
    std::vector<double> sums(2);
    for (int64_t r = 0; r < rows; ++r) {
      const double* x = inputs[0].values.data() + r * classes;
      const auto label = static_cast<int64_t>(inputs[1].values[r]);
      const double w = weight_of(inputs, 2, r, rows);
      if (label == kIgnore) continue;
      sums[0] += std::max_element(x, x + classes) - x == label ? w : 0;
      sums[1] += w;
    }
    return OutputValues{sums};
  };
}

OutputValues mean_squares(const std::vector<HostTensor>& inputs) {
  const int64_t samples = inputs[0].type.shape[0];
  const int64_t row = inputs[0].type.shape.elements_per_row();
  std::vector<double> sums(2);
  for (int64_t b = 0; b < samples; ++b) {
    const double w = weight_of(inputs, 2, b, samples);
    for (int64_t i = b * row; i < (b + 1) * row; ++i) {
      const double d = inputs[0].values[i] - inputs[1].values[i];
      sums[0] += w * d * d / static_cast<double>(row);
    }
    sums[1] += w;
  }
  return {sums};
}

// One weight a sample, the second of them 0 (padding) where there is one.
HostTensor sample_weights(Random& random, int64_t samples) {
  HostTensor weight = random.uniform({samples}, 0.25, 2);
  if (samples > 1) weight.values[1] = 0;
  return weight;
}

struct LogitShape {
  Shape x;
  int64_t samples;  // that weights are given for
};

// Classes below, at and past the vector lengths; rows alone and grouped by sample.
std::vector<LogitShape> logit_shapes() {
  return {{{1, 1}, 1},  {{1, 2}, 1},    {{7, 10}, 7},     {{4, 3, 16}, 4}, {{6, 17}, 3},
          {{5, 33}, 5}, {{3, 1031}, 3}, {{2, 5, 130}, 2}, {{600, 10}, 600}};
}

HostTensor labels_for(Random& random, const Shape& x, bool ignore_some) {
  HostTensor labels = random.labels(Shape(x.dims().first(x.rank() - 1)), x[-1]);
  if (ignore_some)
    for (int64_t r = 2; r < labels.size(); r += 3) labels.values[r] = kIgnore;
  return labels;
}

}  // namespace

std::vector<OpCase> cross_entropy_cases() {
  std::vector<OpCase> cases;
  Random random(3);
  for (const auto& [x, samples] : logit_shapes())
    for (float smoothing : {0.0f, 0.1f})
      for (bool weighted : {false, true}) {
        OpCase c{.name = fmt::format("cross entropy {} smoothing {} {}", x.str(), smoothing,
                                     weighted ? "weighted" : "plain"),
                 .op = std::make_shared<core::SoftmaxCrossEntropy>(
                     core::SoftmaxCrossEntropyOptions{smoothing, kIgnore}),
                 .inputs = {random.normal(x, 3), labels_for(random, x, weighted)},
                 .reference = cross_entropy(smoothing)};
        if (weighted) c.inputs.push_back(sample_weights(random, samples));
        if (x[-1] > 1) c.activations = {0};  // with one class there is nothing to learn
        cases.push_back(std::move(c));
      }
  return cases;
}

std::vector<OpCase> mean_squared_error_cases() {
  std::vector<OpCase> cases;
  Random random(4);
  for (const Shape& shape :
       {Shape{1}, Shape{5, 1}, Shape{7, 17}, Shape{2, 3, 4, 5}, Shape{3, 9001}})
    for (bool weighted : {false, true}) {
      OpCase c{.name = fmt::format("mse {} {}", shape.str(), weighted ? "weighted" : "plain"),
               .op = std::make_shared<core::MeanSquaredError>(),
               .inputs = {random.normal(shape), random.normal(shape)},
               .reference = mean_squares,
               .activations = {0, 1},
               .gradient_floor = 1e-4};
      if (weighted) c.inputs.push_back(sample_weights(random, shape[0]));
      cases.push_back(std::move(c));
    }
  return cases;
}

std::vector<OpCase> accuracy_cases() {
  std::vector<OpCase> cases;
  Random random(5);
  for (const auto& [x, samples] : logit_shapes())
    for (bool weighted : {false, true}) {
      OpCase c{.name = fmt::format("accuracy {} {}", x.str(), weighted ? "weighted" : "plain"),
               .op = std::make_shared<core::Accuracy>(kIgnore),
               .inputs = {random.normal(x), labels_for(random, x, weighted)},
               .reference = accuracy()};
      // Whole numbers make equal logits: the first of equals is the answer.
      for (double& value : c.inputs[0].values) value = std::round(2 * value);
      if (weighted) c.inputs.push_back(sample_weights(random, samples));
      cases.push_back(std::move(c));
    }
  return cases;
}

}  // namespace trireme::test

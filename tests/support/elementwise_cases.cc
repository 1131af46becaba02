#include <fmt/format.h>

#include "core/kernels/dropout.h"
#include "core/ops/activation.h"
#include "core/ops/add.h"
#include "core/ops/dropout.h"
#include "core/ops/scale.h"
#include "tests/support/op_cases.h"
#include "tests/support/references.h"

namespace trireme::test {
namespace {

using core::ActivationKind;
using core::Shape;

// Around the vector lengths, and past the grain at which threads share the work.
const Shape kShapes[] = {{1}, {3, 5}, {17}, {2, 3, 4, 5}, {40000}};

Reference each_element(ActivationKind kind) {
  return [=](const std::vector<HostTensor>& inputs) {
    std::vector<double> y = inputs[0].values;
    for (double& value : y) value = activate(kind, value);
    return OutputValues{y};
  };
}

// The mask straight from the definition in core/ops/dropout.h.
Reference dropped(float p, std::string stream, uint64_t seed, int64_t first) {
  return [=](const std::vector<HostTensor>& inputs) {
    const uint64_t key = core::random_key(seed, "dropout", stream);
    const int64_t row = inputs[0].type.shape.elements_per_row();
    std::vector<double> y = inputs[0].values;
    for (int64_t i = 0; i < inputs[0].size(); ++i) {
      const auto sample = static_cast<uint64_t>(first + i / row);
      const auto within = static_cast<uint64_t>(i % row);
      const uint32_t draw = core::philox(key, sample, within / 4).lane[within % 4];
      y[i] = static_cast<double>(draw) / 4294967296.0 >= p ? y[i] / (1.0 - p) : 0.0;
    }
    return OutputValues{y};
  };
}

OpCase dropout_case(float p, const Shape& shape, Random& random) {
  const std::string stream = fmt::format("drop{}", shape.rank());
  OpCase c{.name = fmt::format("dropout p={} {}", p, shape.str()),
           .op = std::make_shared<core::Dropout>(p, stream),
           .inputs = {random.uniform(shape, 0.5, 2)},
           .activations = {0}};
  // Past 2^32: a sample number cut to 32 bits would show.
  c.setting.step.first_sample = (int64_t{1} << 40) + 12345;
  c.setting.sample_offset = 3;
  c.reference = dropped(p, stream, c.setting.seed, c.setting.step.first_sample + 3);
  return c;
}

}  // namespace

std::vector<OpCase> activation_cases() {
  std::vector<OpCase> cases;
  Random random(1);
  for (auto kind : {ActivationKind::kNone, ActivationKind::kRelu, ActivationKind::kGelu,
                    ActivationKind::kGeluTanh, ActivationKind::kTanh, ActivationKind::kSigmoid,
                    ActivationKind::kSilu}) {
    for (const Shape& shape : kShapes) {
      const bool kinked = kind == ActivationKind::kRelu;
      cases.push_back({.name = fmt::format("{} {}", name_of(kind), shape.str()),
                       .op = std::make_shared<core::Activation>(kind),
                       .inputs = {kinked ? random.distinct(shape, 1e-3) : random.normal(shape, 2)},
                       .reference = each_element(kind),
                       .activations = {0}});
    }
  }
  return cases;
}

std::vector<OpCase> elementwise_cases() {
  std::vector<OpCase> cases;
  Random random(2);
  for (const Shape& shape : kShapes) {
    cases.push_back({.name = "add " + shape.str(),
                     .op = std::make_shared<core::Add>(),
                     .inputs = {random.normal(shape), random.normal(shape)},
                     .reference =
                         [](const std::vector<HostTensor>& inputs) {
                           std::vector<double> y = inputs[0].values;
                           for (size_t i = 0; i < y.size(); ++i) y[i] += inputs[1].values[i];
                           return OutputValues{y};
                         },
                     .activations = {0, 1}});
    cases.push_back({.name = "scale " + shape.str(),
                     .op = std::make_shared<core::Scale>(-0.375f),
                     .inputs = {random.normal(shape)},
                     .reference =
                         [](const std::vector<HostTensor>& inputs) {
                           std::vector<double> y = inputs[0].values;
                           for (double& value : y) value *= -0.375;
                           return OutputValues{y};
                         },
                     .activations = {0}});
  }
  for (float p : {0.0f, 0.1f, 0.5f, 0.9f})
    for (const Shape& shape : {Shape{5, 7}, Shape{3, 256}, Shape{2, 3, 1031}, Shape{64, 1}})
      cases.push_back(dropout_case(p, shape, random));
  return cases;
}

std::vector<OpCase> light_op_cases() {
  std::vector<OpCase> all;
  for (const auto& cases :
       {activation_cases(), elementwise_cases(), cross_entropy_cases(), mean_squared_error_cases(),
        accuracy_cases(), embedding_cases(), norm_cases(), norm_grad_cases(), swiglu_cases(),
        rotary_cases(), causal_attention_cases(), split_cases()})
    all.insert(all.end(), cases.begin(), cases.end());
  return all;
}

}  // namespace trireme::test

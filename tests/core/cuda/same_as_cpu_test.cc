// Every op on a GPU against the same op on the CPU, over shapes that divide by nothing.
//
// op_check.h's runner also looks at guard zones, in-place runs and accumulation. Where neither
// device sums or calls mathematics of its library, the bits must be the same.
#include <fmt/format.h>

#include "core/ops/accuracy.h"
#include "core/ops/activation.h"
#include "core/ops/add.h"
#include "core/ops/conv2d.h"
#include "core/ops/dropout.h"
#include "core/ops/linear.h"
#include "core/ops/mean_squared_error.h"
#include "core/ops/pool2d.h"
#include "core/ops/scale.h"
#include "core/ops/softmax_cross_entropy.h"
#include "tests/core/cuda/cuda_test.h"
#include "tests/support/cached_attention_check.h"
#include "tests/support/node_runner.h"
#include "tests/support/op_cases.h"

namespace trireme::test {
namespace {

using core::ActivationKind;
using core::DType;
using core::Shape;

constexpr double kSameBits = 0;
constexpr double kRounding = 2e-6;  // of sums and of the libraries' exp, tanh, erf

struct Case {
  std::string name;
  core::OpPtr op;
  std::vector<HostTensor> inputs;
  double tolerance = kRounding;
};

void compare(core::Device& device, const Case& c) {
  OpSetting setting;
  setting.step.first_sample = 12345;
  setting.step.attempted_steps = 17;
  setting.sample_offset = 3;
  const auto cpu = make_cpu_op_device(1);
  CudaOpDevice gpu(device);
  NodeRunner runner(gpu, setting);
  try {
    const auto want = run_op(*cpu, *c.op, c.inputs, setting);
    const auto got = runner.run(*c.op, c.inputs);
    for (size_t i = 0; i < want.size(); ++i) {
      const bool same = to_bytes(got[i]) == to_bytes(want[i]);
      const auto text = difference(got[i].values, want[i].values, c.tolerance);
      if (c.tolerance == kSameBits ? !same : !text.empty())
        runner.report("output {} {}", i, text.empty() ? "has other bits" : text);
    }
  } catch (const std::exception& error) {
    runner.report("{}", error.what());
  }
  for (const std::string& problem : runner.problems()) ADD_FAILURE() << c.name << ": " << problem;
}

const std::vector<Shape> kShapes = {{1, 1}, {3, 1}, {7, 13}, {2, 3, 5, 7}, {64, 128}, {33, 1025}};

using CudaOps = CudaTest;

// The CPU's own cases, against their references in double and by numeric gradients.
TEST_F(CudaOps, AgreeWithLoops) {
  CudaOpDevice gpu(device());
  for (const OpCase& op_case : light_op_cases()) check_op(gpu, op_case);
}

TEST_F(CudaOps, CachedAttention) {
  CudaOpDevice gpu(device());
  check_cached_attention(gpu);
}

TEST_F(CudaOps, Activations) {
  for (const Shape& shape : kShapes)
    for (auto kind : {ActivationKind::kRelu, ActivationKind::kGelu, ActivationKind::kGeluTanh,
                      ActivationKind::kTanh, ActivationKind::kSigmoid, ActivationKind::kSilu}) {
      Random random(1);
      const HostTensor x = random.normal(shape, 2), dy = random.normal(shape);
      const double tolerance = kind == ActivationKind::kRelu ? kSameBits : kRounding;
      const std::string name = fmt::format("{} {}", core::name_of(kind), shape.str());
      compare(device(), {name, std::make_shared<core::Activation>(kind), {x}, tolerance});
      compare(
          device(),
          {name + " gradient", std::make_shared<core::ActivationGrad>(kind), {dy, x}, tolerance});
    }
}

TEST_F(CudaOps, AddAndScale) {
  for (const Shape& shape : kShapes) {
    Random random(2);
    const HostTensor a = random.normal(shape), b = random.normal(shape);
    compare(device(), {"add " + shape.str(), std::make_shared<core::Add>(), {a, b}, kSameBits});
    compare(device(),
            {"scale " + shape.str(), std::make_shared<core::Scale>(0.3f), {a}, kSameBits});
  }
}

TEST_F(CudaOps, DropoutDrawsTheSameMask) {
  for (const Shape& shape : kShapes)
    for (float p : {0.0f, 0.1f, 0.75f}) {
      Random random(3);
      compare(device(), {fmt::format("dropout {} {}", p, shape.str()),
                         std::make_shared<core::Dropout>(p, "drop1"),
                         {random.normal(shape)},
                         kSameBits});
    }
}

void compare_pool(core::Device& device, Shape x, core::Pool2dOptions options) {
  Random random(4);
  const auto op = std::make_shared<core::Pool2d>(options);
  const bool max = options.kind == core::PoolKind::kMax;
  const double tolerance = max ? kSameBits : kRounding;
  const HostTensor images = random.normal(x);
  const std::string name = fmt::format("{} {}", op->type(), x.str());
  compare(device, {name, op, {images}, tolerance});

  const auto cpu = make_cpu_op_device(1);
  const std::vector<HostTensor> outputs = run_op(*cpu, *op, {images});
  std::vector<HostTensor> inputs = {random.normal(outputs[0].type.shape)};
  if (max) inputs.push_back(outputs[1]);
  compare(device, {name + " gradient", std::make_shared<core::Pool2dGrad>(options, x), inputs});
}

TEST_F(CudaOps, Pooling) {
  for (auto kind : {core::PoolKind::kMax, core::PoolKind::kAverage}) {
    compare_pool(device(), {1, 2, 2, 1}, {.kind = kind});
    compare_pool(device(), {3, 8, 6, 5}, {.kind = kind});
    compare_pool(device(), {2, 9, 11, 3}, {.kind = kind, .kernel_h = 3, .kernel_w = 3});
    compare_pool(device(), {2, 9, 11, 4},
                 {.kind = kind, .kernel_h = 3, .kernel_w = 3, .pad_h = 1, .pad_w = 1});
    compare_pool(device(), {2, 7, 7, 8},
                 {.kind = kind,
                  .kernel_h = 3,
                  .kernel_w = 2,
                  .stride_h = 1,
                  .stride_w = 1,
                  .pad_w = 1,
                  .count_include_pad = true});
  }
}

struct Rows {
  HostTensor x, labels, weight;
};

// Logits (rows, classes), labels of which some are ignored, and a weight for each sample.
Rows labelled_rows(int64_t rows, int64_t classes, bool weighted) {
  Random random(static_cast<uint64_t>(rows * 5 + classes));
  Rows r{random.normal({rows, classes}, 3), random.labels({rows}, classes),
         weighted ? random.uniform({rows}, 0, 2) : absent()};
  for (int64_t i = 1; i < rows; i += 4) r.labels.values[i] = -100;
  return r;
}

TEST_F(CudaOps, SoftmaxCrossEntropy) {
  for (auto [rows, classes] :
       {std::pair<int64_t, int64_t>{1, 1}, {2, 3}, {61, 10}, {7, 1001}, {5, 5000}, {1000, 2}})
    for (bool weighted : {false, true})
      for (float smoothing : {0.0f, 0.1f}) {
        const Rows r = labelled_rows(rows, classes, weighted);
        const core::SoftmaxCrossEntropyOptions options{.label_smoothing = smoothing};
        const auto op = std::make_shared<core::SoftmaxCrossEntropy>(options);
        const auto name = fmt::format("softmax {} x {}, weighted {}, smoothing {}", rows, classes,
                                      weighted, smoothing);
        compare(device(), {name, op, {r.x, r.labels, r.weight}});
        const auto lse = run_op(*make_cpu_op_device(1), *op, {r.x, r.labels, r.weight})[1];
        compare(device(), {name + " gradient",
                           std::make_shared<core::SoftmaxCrossEntropyGrad>(options, 0.7f),
                           {r.x, r.labels, r.weight, lse}});
      }
}

TEST_F(CudaOps, AccuracyCountsTheSame) {
  for (bool weighted : {false, true}) {
    Rows r = labelled_rows(97, 10, weighted);
    for (double& value : r.x.values) value = std::round(value);  // ties
    // Whole weights: sums are exact in any order.
    for (double& value : r.weight.values) value = std::round(value * 4);
    compare(device(),
            {"accuracy", std::make_shared<core::Accuracy>(), {r.x, r.labels, r.weight}, kSameBits});
  }
}

TEST_F(CudaOps, MeanSquaredError) {
  for (const Shape& shape : kShapes)
    for (bool weighted : {false, true}) {
      Random random(6);
      const HostTensor x = random.normal(shape), target = random.normal(shape);
      const HostTensor weight = weighted ? random.uniform({shape[0]}, 0, 2) : absent();
      const auto name = fmt::format("mean squared error {}, weighted {}", shape.str(), weighted);
      compare(device(), {name, std::make_shared<core::MeanSquaredError>(), {x, target, weight}});
      compare(device(), {name + " gradient",
                         std::make_shared<core::MeanSquaredErrorGrad>(0.7f),
                         {x, target, weight}});
    }
}

// Larger than the loops of products_test.cc can afford, so that split sums and big tiles run.
TEST_F(CudaOps, LargeProducts) {
  Random random(7);
  const HostTensor x = random.normal({1024, 768}), w = random.normal({512, 768}, 0.05);
  const HostTensor dz = random.normal({1024, 512});
  compare(device(), {"linear",
                     std::make_shared<core::Linear>(core::LinearOptions{}),
                     {x, w, random.normal({512})},
                     1e-5});
  compare(device(), {"linear dx", std::make_shared<core::LinearGradInput>(), {dz, w}, 1e-5});
  compare(device(), {"linear dW", std::make_shared<core::LinearGradWeight>(true), {dz, x}, 1e-5});
}

TEST_F(CudaOps, LargeConvolutions) {
  Random random(8);
  const core::Conv2dOptions options{.pad_h = 1, .pad_w = 1};
  const HostTensor x = random.normal({16, 28, 28, 32}), w = random.normal({64, 3, 3, 32}, 0.05);
  const HostTensor dz = random.normal({16, 28, 28, 64});
  compare(device(),
          {"conv2d", std::make_shared<core::Conv2d>(options), {x, w, random.normal({64})}, 1e-5});
  compare(
      device(),
      {"conv2d dx", std::make_shared<core::Conv2dGradInput>(options, x.type.shape), {dz, w}, 1e-5});
  compare(device(), {"conv2d dW",
                     std::make_shared<core::Conv2dGradWeight>(options, w.type.shape, true),
                     {dz, x},
                     1e-5});
}

// Splitting a sum over blocks must not make the order a matter of chance.
TEST_F(CudaOps, RepeatTheirBits) {
  Random random(9);
  const HostTensor x = random.normal({4096, 64}), dz = random.normal({4096, 48});
  const HostTensor images = random.normal({32, 14, 14, 16}), dy = random.normal({32, 14, 14, 24});
  const core::Conv2dOptions options{.pad_h = 1, .pad_w = 1};
  const core::LinearGradWeight linear(true);
  const core::Conv2dGradWeight conv2d(options, {24, 3, 3, 16}, true);
  const core::Conv2dGradInput conv2d_dx(options, images.type.shape);
  const HostTensor filter = random.normal({24, 3, 3, 16});
  CudaOpDevice gpu(device());
  const auto first_linear = run_op(gpu, linear, {dz, x});
  const auto first_conv2d = run_op(gpu, conv2d, {dy, images});
  const auto first_dx = run_op(gpu, conv2d_dx, {dy, filter});
  for (int again = 0; again < 5; ++again) {
    const auto next_linear = run_op(gpu, linear, {dz, x});
    const auto next_conv2d = run_op(gpu, conv2d, {dy, images});
    for (int output : {0, 1}) {
      EXPECT_EQ(to_bytes(next_linear[output]), to_bytes(first_linear[output]));
      EXPECT_EQ(to_bytes(next_conv2d[output]), to_bytes(first_conv2d[output]));
    }
    EXPECT_EQ(to_bytes(run_op(gpu, conv2d_dx, {dy, filter})[0]), to_bytes(first_dx[0]));
  }
}

}  // namespace
}  // namespace trireme::test

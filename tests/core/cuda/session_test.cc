// A whole training session on a GPU against the same session on the CPU.
#include "core/runtime/session.h"

#include "core/base/error.h"
#include "core/graph/differentiate.h"
#include "core/ops/accuracy.h"
#include "core/ops/conv2d.h"
#include "core/ops/dropout.h"
#include "core/ops/linear.h"
#include "core/ops/pool2d.h"
#include "core/ops/reshape.h"
#include "core/ops/softmax_cross_entropy.h"
#include "core/optim/parameter_groups.h"
#include "core/program/build.h"
#include "tests/core/cuda/cuda_test.h"
#include "tests/support/op_check.h"

namespace trireme::test {
namespace {

using core::ActivationKind;
using core::DType;
using core::Graph;
using core::Init;
using core::Shape;
using core::ValueId;

constexpr int64_t kMicroBatch = 6;
constexpr int kMicroBatches = 2;
constexpr int64_t kGlobalBatch = kMicroBatch * kMicroBatches;
constexpr int64_t kClasses = 5;

ValueId weight(Graph& graph, const std::string& name, Shape shape) {
  return graph.parameter(name, {shape, DType::kF32}, Init::normal(0, 0.2f));
}
ValueId bias(Graph& graph, const std::string& name, int64_t size) {
  return graph.parameter(name, {{size}, DType::kF32}, Init::uniform(-0.1f, 0.1f));
}

// conv, pool, dropout, two linear layers: each of the libraries, and kernels of ours around them.
Graph small_net() {
  Graph graph;
  ValueId x = graph.input("x", {{kMicroBatch, 12, 12, 1}, DType::kF32});
  const ValueId labels = graph.input("labels", {{kMicroBatch}, DType::kI32});
  const core::Conv2dOptions conv{.pad_h = 1, .pad_w = 1, .activation = ActivationKind::kRelu};
  x = graph.add1("conv1", std::make_shared<core::Conv2d>(conv),
                 {x, weight(graph, "conv1/weight", {4, 3, 3, 1}), bias(graph, "conv1/bias", 4)});
  x = graph.add("pool1", std::make_shared<core::Pool2d>(core::Pool2dOptions{}), {x}).front();
  x = graph.add1("flatten", std::make_shared<core::Reshape>(std::vector<int64_t>{-1}), {x});
  x = graph
          .add("fc1", std::make_shared<core::Linear>(core::LinearOptions{ActivationKind::kGelu}),
               {x, weight(graph, "fc1/weight", {33, 144}), bias(graph, "fc1/bias", 33)})
          .front();
  x = graph.add1("drop1", std::make_shared<core::Dropout>(0.25f, "drop1"), {x});
  x = graph.add1(
      "fc2", std::make_shared<core::Linear>(core::LinearOptions{}),
      {x, weight(graph, "fc2/weight", {kClasses, 33}), bias(graph, "fc2/bias", kClasses)});
  const auto loss = graph.add(
      "loss", std::make_shared<core::SoftmaxCrossEntropy>(core::SoftmaxCrossEntropyOptions{}),
      {x, labels, core::kNoValue});
  graph.add_loss("loss", loss.front(), 1, 1);
  graph.add_metric("accuracy", graph.add1("accuracy", std::make_shared<core::Accuracy>(),
                                          {x, labels, core::kNoValue}));
  return graph;
}

core::SessionPlan plan_for(core::DeviceKind device) {
  Graph graph = small_net();
  core::differentiate(graph, {.global_batch = kGlobalBatch});
  core::SessionPlan plan;
  plan.layout = core::make_flat_layout(graph, 1 << 20, 1);
  plan.optimizer = core::AdamOptions{};
  plan.ranges = core::update_ranges(plan.layout, plan.optimizer, {});
  plan.control = {.schedule = {.base_lr = 1e-2f},
                  .clip_norm = 1,
                  .nominal_count = kGlobalBatch,
                  .beta1 = 0.9f,
                  .beta2 = 0.999f};
  plan.seed = 3;
  plan.global_batch = kGlobalBatch;
  plan.train = core::build_program(std::move(graph), plan.layout,
                                   {.device = device,
                                    .micro_batch = kMicroBatch,
                                    .micro_batches = kMicroBatches,
                                    .update = true});
  return plan;
}

// Random micro-batches, the same for every device.
class Batches : public core::InputSource {
 public:
  std::span<const void* const> next() override {
    images_ = to_bytes(random_.normal({kMicroBatch, 12, 12, 1}));
    labels_ = to_bytes(random_.labels({kMicroBatch}, kClasses));
    pointers_ = {images_.data(), labels_.data()};
    return pointers_;
  }

 private:
  Random random_{5};
  std::vector<std::byte> images_, labels_;
  std::array<const void*, 2> pointers_{};
};

class NoTransport : public core::Transport {
 public:
  void enqueue(const core::CollectiveCall& call, core::Stream) override {
    throw SystemError(fmt::format("one rank has no peers for {}", call.what));
  }
};

// A session and all it needs, on one device.
struct Training {
  explicit Training(core::Device& device) : session(device, transport, plan_for(device.kind())) {
    session.initialize();
  }
  NoTransport transport;
  Batches batches;
  core::Session session;
};

std::vector<double> doubles(const std::vector<float>& values) {
  return {values.begin(), values.end()};
}

using CudaSession = CudaTest;

TEST_F(CudaSession, TrainsAsTheCpuDoes) {
  const auto cpu = core::make_cpu_device(1);
  Training want(*cpu), got(device());
  ASSERT_EQ(got.session.parameters(), want.session.parameters()) << "first values must be equal";
  for (int step = 0; step < 3; ++step) {
    const core::PassResult b = want.session.train_step(want.batches);
    const core::PassResult a = got.session.train_step(got.batches);
    EXPECT_NEAR(a.sums[0].mean(), b.sums[0].mean(), 2e-5 * b.sums[0].mean()) << step;
    EXPECT_EQ(a.sums[0].weight, kGlobalBatch);
    EXPECT_EQ(a.step.apply, 1);
    EXPECT_EQ(a.step.applied_steps, step + 1);
    for (const core::FlatParameter& p : want.session.plan().layout.parameters) {
      const auto text = difference(doubles(got.session.gradient(p.name)),
                                   doubles(want.session.gradient(p.name)), step == 0 ? 1e-5 : 1e-3);
      EXPECT_EQ(text, "") << "gradient of " << p.name << " in step " << step;
    }
  }
}

TEST_F(CudaSession, RepeatsItsBits) {
  Training first(device()), second(device());
  for (int step = 0; step < 3; ++step) {
    const double a = first.session.train_step(first.batches).sums[0].sum;
    const double b = second.session.train_step(second.batches).sums[0].sum;
    EXPECT_EQ(a, b);
  }
  EXPECT_EQ(first.session.parameters(), second.session.parameters());
}

}  // namespace
}  // namespace trireme::test

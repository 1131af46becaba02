#include "tests/support/small_session.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "core/base/error.h"
#include "core/graph/differentiate.h"
#include "core/ops/accuracy.h"
#include "core/ops/dropout.h"
#include "core/ops/linear.h"
#include "core/ops/softmax_cross_entropy.h"
#include "core/optim/parameter_groups.h"
#include "core/program/build.h"

namespace trireme::test {

using namespace core;

Graph small_graph(const SmallNet& net, int64_t batch) {
  Graph graph;
  const ValueId data = graph.input("data", {{batch, net.inputs}, DType::kF32});
  const ValueId labels = graph.input("labels", {{batch}, DType::kI32});
  const ValueId weights = graph.input("weights", {{batch}, DType::kF32});
  const auto linear = [&](const std::string& name, ValueId x, int64_t outputs, ActivationKind f) {
    const int64_t inputs = graph.type(x).shape[-1];
    const ValueId w = graph.parameter(name + "/weight", {{outputs, inputs}, DType::kF32},
                                      Init::uniform(-0.5f, 0.5f));
    const ValueId b =
        graph.parameter(name + "/bias", {{outputs}, DType::kF32}, Init::uniform(-0.5f, 0.5f));
    return graph.add(name, std::make_shared<Linear>(LinearOptions{f}), {x, w, b}).front();
  };
  ValueId hidden = linear("fc1", data, net.hidden, ActivationKind::kRelu);
  if (net.dropout > 0)
    hidden = graph.add1("dropout", std::make_shared<Dropout>(net.dropout, "dropout"), {hidden});
  const ValueId logits = linear("fc2", hidden, net.classes, ActivationKind::kNone);
  const std::vector<ValueId> operands{logits, labels, weights};
  const auto loss = std::make_shared<SoftmaxCrossEntropy>(SoftmaxCrossEntropyOptions{});
  graph.add_loss("loss", graph.add("loss", loss, operands).front(), 1, 1);
  graph.add_metric("accuracy", graph.add1("accuracy", std::make_shared<Accuracy>(), operands));
  return graph;
}

core::SessionPlan small_plan(const SmallNet& net, DeviceKind device) {
  const int64_t micro_batch = net.batch / net.micro_batches;
  Graph train = small_graph(net, micro_batch);
  differentiate(train, {.global_batch = net.batch});
  SessionPlan plan{.optimizer = net.optimizer, .seed = 3, .global_batch = net.batch};
  plan.layout = make_flat_layout(train, 1 << 20, 1);
  plan.whole = whole_parameters(plan.layout);
  plan.ranges = update_ranges(plan.layout, net.optimizer, {});
  plan.control = {.schedule = {.base_lr = net.lr},
                  .clip_norm = net.clip_norm,
                  .nominal_count = static_cast<double>(net.batch)};
  if (net.exact_sums) plan.norm_ranges = {{0, plan.layout.trained_elements}};
  plan.train = build_program(std::move(train), plan.layout,
                             {.device = device,
                              .micro_batch = micro_batch,
                              .micro_batches = net.micro_batches,
                              .update = true,
                              .exact_sums = net.exact_sums});
  SmallNet eval = net;
  eval.dropout = 0;
  plan.eval = build_program(small_graph(eval, micro_batch), plan.layout,
                            {.name = "eval",
                             .device = device,
                             .micro_batch = micro_batch,
                             .micro_batches = net.micro_batches,
                             .exact_sums = net.exact_sums});
  return plan;
}

SmallBatches::SmallBatches(const SmallNet& net, unsigned seed) : SmallBatches(net, seed, 0, 1) {}

SmallBatches::SmallBatches(const SmallNet& net, unsigned seed, int rank, int ranks)
    : data(static_cast<size_t>(net.batch * net.inputs)),
      labels(static_cast<size_t>(net.batch)),
      weights(static_cast<size_t>(net.batch), 1.0f),
      net_(net),
      first_row_(net.batch / ranks * rank),
      micro_batch_(net.batch / ranks / net.micro_batches) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  for (float& x : data) x = normal(random);
  for (int32_t& label : labels) label = static_cast<int32_t>(random() % net.classes);
}

std::span<const void* const> SmallBatches::next() {
  const int64_t row = first_row_ + next_ * micro_batch_;
  next_ = (next_ + 1) % net_.micro_batches;
  pointers_ = {data.data() + row * net_.inputs, labels.data() + row, weights.data() + row};
  return pointers_;
}

void NoTransport::enqueue(const CollectiveCall& call, Stream) {
  throw SystemError(std::string("unexpected collective: ") + call.what);
}

double DoubleNet::step(const SmallBatches& batch, double lr) {
  const int64_t B = shape.batch, I = shape.inputs, H = shape.hidden, C = shape.classes;
  dw1.assign(w1.size(), 0), db1.assign(b1.size(), 0);
  dw2.assign(w2.size(), 0), db2.assign(b2.size(), 0);
  double loss = 0;
  for (int64_t n = 0; n < B; ++n) {
    const float* x = &batch.data[n * I];
    std::vector<double> h(H), z(C), dh(H, 0);
    for (int64_t j = 0; j < H; ++j) {
      h[j] = b1[j];
      for (int64_t i = 0; i < I; ++i) h[j] += w1[j * I + i] * x[i];
      h[j] = std::max(h[j], 0.0);
    }
    double total = 0;
    for (int64_t c = 0; c < C; ++c) {
      z[c] = b2[c];
      for (int64_t j = 0; j < H; ++j) z[c] += w2[c * H + j] * h[j];
      total += std::exp(z[c]);
    }
    loss += std::log(total) - z[batch.labels[n]];
    for (int64_t c = 0; c < C; ++c) {
      const double dz = (std::exp(z[c]) / total - (c == batch.labels[n])) / static_cast<double>(B);
      db2[c] += dz;
      for (int64_t j = 0; j < H; ++j) {
        dw2[c * H + j] += dz * h[j];
        dh[j] += dz * w2[c * H + j];
      }
    }
    for (int64_t j = 0; j < H; ++j) {
      if (h[j] <= 0) continue;
      db1[j] += dh[j];
      for (int64_t i = 0; i < I; ++i) dw1[j * I + i] += dh[j] * x[i];
    }
  }
  const auto update = [lr](std::vector<double>& p, const std::vector<double>& g) {
    for (size_t i = 0; i < p.size(); ++i) p[i] -= lr * g[i];
  };
  update(w1, dw1), update(b1, db1), update(w2, dw2), update(b2, db2);
  return loss / static_cast<double>(B);
}

}  // namespace trireme::test

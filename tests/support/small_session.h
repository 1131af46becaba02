// A two-layer classifier as a session on one device, and the same step in plain double loops.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/runtime/session.h"

namespace trireme::test {

struct SmallNet {
  int64_t batch = 12, inputs = 7, hidden = 9, classes = 5;
  int micro_batches = 1;
  float clip_norm = 0;
  float dropout = 0;  // of the hidden layer
  bool exact_sums = false;
  core::OptimizerOptions optimizer = core::SgdOptions{};
  float lr = 0.1f;
};

// The forward graph of `batch` rows of it.
core::Graph small_graph(const SmallNet& net, int64_t batch);

// data -> fc1 (ReLU) -> fc2 -> softmax cross-entropy "loss", metric "accuracy"; with an eval
// program. No data parallelism.
core::SessionPlan small_plan(const SmallNet& net, core::DeviceKind device);

// The whole batch of a step, drawn at random from a seed, handed out by micro-batches.
class SmallBatches : public core::InputSource {
 public:
  SmallBatches(const SmallNet& net, unsigned seed);
  // Of rank `rank` of `ranks`: its share of the same batch.
  SmallBatches(const SmallNet& net, unsigned seed, int rank, int ranks);
  std::span<const void* const> next() override;

  std::vector<float> data;      // (batch, inputs)
  std::vector<int32_t> labels;  // (batch)
  std::vector<float> weights;   // (batch), 1

 private:
  SmallNet net_;
  int64_t first_row_ = 0, micro_batch_ = 0;
  int next_ = 0;
  std::array<const void*, 3> pointers_{};
};

// A transport for programs without collectives: any call is an error.
class NoTransport : public core::Transport {
 public:
  void enqueue(const core::CollectiveCall& call, core::Stream stream) override;
};

// fc1 and fc2 in double, trained by plain SGD.
struct DoubleNet {
  explicit DoubleNet(const SmallNet& net) : shape(net) {}
  SmallNet shape;
  std::vector<double> w1, b1, w2, b2;
  std::vector<double> dw1, db1, dw2, db2;  // of the mean loss, after step()

  double step(const SmallBatches& batch, double lr);  // returns the mean loss
};

}  // namespace trireme::test

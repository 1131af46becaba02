// Whole training steps of cut networks: clipping, moments, evaluation, data and tensor axes
// together, against one rank.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <mutex>
#include <random>

#include "models/model.h"
#include "parallel/groups.h"
#include "parallel/plan_training.h"
#include "tests/support/ranks.h"
#include "tests/support/whole_state.h"

namespace trireme::parallel {
namespace {

using core::StateBuffer;
using test::Tensors;

constexpr int kSteps = 3;
constexpr int64_t kBatch = 12, kPositions = 4, kVocabulary = 13;

// The rows of a data rank, in micro-batches; every rank of the tensor axis reads the same.
class Tokens : public core::InputSource {
 public:
  Tokens(unsigned seed, const BatchSplit& batch, int data_rank)
      : batch_(batch), row_(batch.offset(data_rank)), weights_(kBatch, 1.0f) {
    std::mt19937 random(seed);
    const auto draw = [&] { return static_cast<int32_t>(random() % kVocabulary); };
    std::generate_n(std::back_inserter(tokens_), kBatch * kPositions, draw);
    std::generate_n(std::back_inserter(labels_), kBatch * kPositions, draw);
    weights_[5] = 0;
  }

  std::span<const void* const> next() override {
    pointers_ = {tokens_.data() + row_ * kPositions, labels_.data() + row_ * kPositions,
                 weights_.data() + row_};
    row_ += batch_.micro_batch;
    return pointers_;
  }

 private:
  BatchSplit batch_;
  int64_t row_;
  std::vector<int32_t> tokens_, labels_;
  std::vector<float> weights_;
  std::array<const void*, 3> pointers_{};
};

struct Seen {
  std::vector<double> losses, norms;
  double eval_loss = 0;
  Tensors gradients, parameters;
};

struct Layout {
  int data = 1, tensor = 1, pipeline = 1;
  int micro_batches = 1;
  int zero = 0;
  bool sequence = false;
};

core::Graph network(int64_t batch, bool training) {
  const models::GptOptions gpt{.layers = 1,
                               .width = 12,
                               .heads = 4,
                               .context = kPositions,
                               .vocabulary = kVocabulary,
                               .hidden = 20,
                               .dropout = 0.1f};
  return models::build_model({.network = gpt, .place = {}}, {.batch = batch,
                                                             .sample = {kPositions},
                                                             .classes = kVocabulary,
                                                             .training = training,
                                                             .sample_type = core::DType::kI32,
                                                             .labels = {kPositions}});
}

void train(const Layout& layout, comm::Communicator& world, std::mutex& mutex, Seen& seen) {
  const Mesh mesh({.data = layout.data, .tensor = layout.tensor, .pipeline = layout.pipeline},
                  world.size());
  const int data_rank = mesh.coordinate(world.rank(), Axis::kData);
  const int64_t micro_batch = kBatch / layout.data / layout.micro_batches;
  const TrainingOptions options{.rank = world.rank(),
                                .batch = split_batch(kBatch, micro_batch, layout.data),
                                .eval_micro_batch = micro_batch,
                                .eval_micro_batches = layout.micro_batches,
                                .optimizer = core::SgdOptions{.momentum = 0.9f},
                                .schedule = {.base_lr = 0.5f},
                                .clip_norm = 0.1f,
                                .seed = 3,
                                .zero = layout.zero,
                                .bucket_bytes = 2000,
                                .sequence = layout.sequence};
  const auto device = core::make_cpu_device(1);
  comm::GroupTransport transport;
  const MeshGroups groups(world, mesh, layout.pipeline > 1);  // the token table is tied
  groups.add_to(transport);
  core::Session session(
      *device, transport,
      plan_training(network(micro_batch, true), network(micro_batch, false), mesh, options));
  session.initialize();
  const auto share = [&](StateBuffer buffer, Tensors& tensors) {
    const std::scoped_lock lock(mutex);
    test::assemble(session, buffer, tensors);
  };
  std::vector<double> losses, norms;
  for (unsigned step = 0; step < kSteps; ++step) {
    Tokens tokens(step, options.batch, data_rank);
    const core::PassResult& result = session.train_step(tokens);
    losses.push_back(result.sums[0].mean());
    norms.push_back(result.step.grad_norm);
    if (step == 0) share(StateBuffer::kGradients, seen.gradients);
  }
  Tokens tokens(99, options.batch, data_rank);
  const double eval_loss = session.evaluate(tokens).sums[0].mean();
  share(StateBuffer::kParameters, seen.parameters);
  const std::scoped_lock lock(mutex);
  if (!seen.losses.empty()) {
    EXPECT_EQ(seen.losses, losses);
    EXPECT_EQ(seen.norms, norms);
  }
  seen.losses = losses;
  seen.norms = norms;
  seen.eval_loss = eval_loss;
}

Seen train_on(const Layout& layout) {
  Seen seen;
  std::mutex mutex;
  testing::run_ranks(layout.data * layout.tensor * layout.pipeline,
                     [&](comm::Communicator& world) { train(layout, world, mutex, seen); });
  return seen;
}

void expect_near(const Tensors& got, const Tensors& want, double bound) {
  ASSERT_EQ(got.size(), want.size());
  for (const auto& [name, values] : want) {
    double scale = 0;
    for (float value : values) scale = std::max(scale, std::abs(double{value}));
    EXPECT_GT(scale, 1e-6) << name;
    ASSERT_EQ(got.at(name).size(), values.size()) << name;
    for (size_t i = 0; i < values.size(); ++i)
      ASSERT_NEAR(got.at(name)[i], values[i], bound * scale) << name << "[" << i << "]";
  }
}

TEST(TensorSession, GivesWhatOneRankGives) {
  const Seen want = train_on({});
  EXPECT_GT(want.norms[0], 0.1) << "clipping must bite";
  for (const Layout& layout :
       {Layout{.tensor = 2}, Layout{.tensor = 4, .sequence = true},
        Layout{.data = 2, .tensor = 2, .zero = 1, .sequence = true},
        Layout{.data = 3, .tensor = 2, .micro_batches = 2, .zero = 2, .sequence = true},
        Layout{.data = 2, .tensor = 2, .zero = 3, .sequence = true},
        Layout{.tensor = 2, .pipeline = 2, .micro_batches = 3},
        Layout{.data = 2, .tensor = 2, .pipeline = 2, .micro_batches = 2, .sequence = true}}) {
    SCOPED_TRACE(fmt::format("data {} tensor {} pipeline {} micro-batches {} zero {} sequence {}",
                             layout.data, layout.tensor, layout.pipeline, layout.micro_batches,
                             layout.zero, layout.sequence));
    const Seen got = train_on(layout);
    for (int step = 0; step < kSteps; ++step) {
      EXPECT_NEAR(got.losses[step], want.losses[step], 5e-6 * want.losses[step]);
      EXPECT_NEAR(got.norms[step], want.norms[step], 2e-5 * want.norms[step]);
    }
    EXPECT_NEAR(got.eval_loss, want.eval_loss, 1e-5 * want.eval_loss);
    expect_near(got.gradients, want.gradients, 4e-6);
    expect_near(got.parameters, want.parameters, 1e-4);
  }
}

}  // namespace
}  // namespace trireme::parallel

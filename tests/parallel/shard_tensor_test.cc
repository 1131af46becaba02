#include "parallel/shard_tensor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>

#include "core/base/error.h"
#include "core/graph/differentiate.h"
#include "core/ops/accuracy.h"
#include "core/ops/linear.h"
#include "core/ops/softmax_cross_entropy.h"
#include "models/model.h"
#include "parallel/groups.h"
#include "tests/support/graph_run.h"
#include "tests/support/ranks.h"

namespace trireme::parallel {
namespace {

using core::ActivationKind;
using core::Graph;
using core::Role;
using test::GraphFeeds;
using test::GraphValues;
using ::testing::ElementsAre;

// A network and a batch for it.
struct Net {
  std::string name;
  Graph forward;
  GraphFeeds feeds;
};

constexpr int64_t kBatch = 4, kPositions = 6;

std::vector<float> normals(int64_t count) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

std::vector<int32_t> numbers(int64_t count, int32_t below, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<int32_t> values(count);
  for (int32_t& value : values) value = static_cast<int32_t>(random() % below);
  return values;
}

Net classifier(std::string name, models::ModelOptions options, core::Shape sample) {
  constexpr int32_t kClasses = 7;
  const models::BuildRequest request{.batch = kBatch, .sample = sample, .classes = kClasses};
  Net net{std::move(name), models::build_model(options, request), {}};
  net.feeds.floats["data"] = normals(kBatch * sample.elements());
  net.feeds.floats["weights"] = {1, 0.5f, 2, 0};
  net.feeds.integers["labels"] = numbers(kBatch, kClasses, 1);
  return net;
}

Net mlp_net(std::vector<int64_t> hidden, ActivationKind activation) {
  const models::MlpOptions options{
      .hidden = std::move(hidden), .activation = activation, .dropout = 0.2f, .classes = 7};
  return classifier("mlp", {.network = options, .place = {}}, {11});
}

Net lenet_net() {
  return classifier("lenet5", {.network = models::Lenet5Options{.classes = 7}, .place = {}},
                    {16, 16, 1});
}

Net language_net(std::string name, models::ModelOptions options, int32_t vocabulary) {
  const models::BuildRequest request{.batch = kBatch,
                                     .sample = {kPositions},
                                     .classes = vocabulary,
                                     .sample_type = core::DType::kI32,
                                     .labels = {kPositions}};
  Net net{std::move(name), models::build_model(options, request), {}};
  net.feeds.integers["data"] = numbers(kBatch * kPositions, vocabulary, 2);
  net.feeds.integers["labels"] = numbers(kBatch * kPositions, vocabulary, 3);
  net.feeds.integers["labels"][4] = -100;
  net.feeds.floats["weights"] = {1, 0.5f, 0, 2};
  return net;
}

// A prime vocabulary, heads of odd size.
Net gpt_net(bool tied) {
  const models::GptOptions options{.layers = 2,
                                   .width = 36,
                                   .heads = 12,
                                   .context = 7,
                                   .vocabulary = 29,
                                   .hidden = 60,
                                   .dropout = 0.2f,
                                   .tied = tied};
  return language_net(tied ? "gpt, tied" : "gpt", {.network = options, .place = {}}, 29);
}

Net llama_net() {
  const models::LlamaOptions options{.layers = 2,
                                     .width = 48,
                                     .heads = 24,
                                     .kv_heads = 12,
                                     .hidden = 36,
                                     .context = 6,
                                     .vocabulary = 31};
  return language_net("llama", {.network = options, .place = {}}, 31);
}

Graph differentiated(Graph graph) {
  core::differentiate(graph, {.global_batch = kBatch});
  return graph;
}

// One rank's graph and what it made.
struct Ran {
  Graph graph;
  GraphValues values;
};

std::vector<Ran> run_sharded(const Graph& forward, const GraphFeeds& feeds, int ranks,
                             bool sequence) {
  std::vector<Ran> all(ranks);
  testing::run_ranks(ranks, [&](comm::Communicator& group) {
    Ran& ran = all[group.rank()];
    ran.graph = differentiated(shard_tensor(
        forward, {.place = {ranks, group.rank(), kTensorGroup}, .sequence = sequence}));
    ran.values = test::run_graph(ran.graph, feeds, &group);
  });
  return all;
}

struct Whole {
  std::vector<double> values;
  std::vector<int> times;  // how often each element was given
};

// A parameter's gradient from all ranks: slices put together, partial ones added up.
Whole put_together(const std::vector<Ran>& all, const std::string& name, int64_t elements) {
  Whole whole{std::vector<double>(elements), std::vector<int>(elements)};
  for (const Ran& ran : all) {
    const core::ValueId id = ran.graph.find(name);
    if (id == core::kNoValue) continue;
    const core::Value& value = ran.graph.value(id);
    const std::vector<double>& local = ran.values.at(name + "/grad");
    core::for_each_run(value.slice, value.type.shape, [&](int64_t to, int64_t from, int64_t count) {
      for (int64_t i = 0; i < count; ++i) {
        const bool first = whole.times[to + i] == 0;
        if (value.partial_gradient || first)
          whole.values[to + i] += local[from + i];
        else
          EXPECT_EQ(whole.values[to + i], local[from + i]) << name << " differs between ranks";
        ++whole.times[to + i];
      }
    });
  }
  return whole;
}

// f32 sums in another order: a few rounding errors of the largest terms.
void expect_close(const std::vector<double>& got, const std::vector<double>& want,
                  const std::string& name) {
  double largest = 0;
  for (double value : want) largest = std::max(largest, std::abs(value));
  EXPECT_GT(largest, 1e-4) << name << ": values near zero prove nothing";
  for (size_t i = 0; i < want.size(); ++i)
    ASSERT_NEAR(got[i], want[i], 4e-6 * largest) << name << "[" << i << "]";
}

void expect_equal_to_one_rank(const Net& net, int ranks, bool sequence) {
  SCOPED_TRACE(fmt::format("{} on {} ranks{}", net.name, ranks, sequence ? ", by rows" : ""));
  const Graph one_graph = differentiated(net.forward);
  const GraphValues one = test::run_graph(one_graph, net.feeds);
  const std::vector<Ran> all = run_sharded(net.forward, net.feeds, ranks, sequence);
  for (const Ran& ran : all) {
    EXPECT_NEAR(ran.values.at("loss")[0], one.at("loss")[0], 2e-6 * std::abs(one.at("loss")[0]));
    EXPECT_EQ(ran.values.at("loss")[1], one.at("loss")[1]);
    if (one.contains("accuracy")) {
      EXPECT_EQ(ran.values.at("accuracy"), one.at("accuracy"));
    }
  }
  for (core::ValueId id : one_graph.with_role(Role::kParameter)) {
    const std::string& name = one_graph.value(id).name;
    const Whole whole = put_together(all, name, one_graph.type(id).elements());
    EXPECT_THAT(whole.times, ::testing::Each(::testing::Ge(1))) << name;
    expect_close(whole.values, one.at(name + "/grad"), name);
  }
}

std::vector<std::string> exchanges(const Net& net, int ranks, bool sequence) {
  const Graph graph = differentiated(
      shard_tensor(net.forward, {.place = {ranks, 1, kTensorGroup}, .sequence = sequence}));
  std::vector<std::string> names;
  for (const core::Node& node : graph.nodes())
    if (node.op->exchange() != nullptr) names.push_back(node.name);
  return names;
}

TEST(ShardTensor, MlpEqualsOneRank) {
  for (int ranks : {2, 3, 4})
    for (bool sequence : {false, true}) {
      expect_equal_to_one_rank(mlp_net({24, 36, 12, 24}, ActivationKind::kRelu), ranks, sequence);
      expect_equal_to_one_rank(mlp_net({12}, ActivationKind::kGelu), ranks, sequence);
    }
}

TEST(ShardTensor, Lenet5EqualsOneRank) {
  for (int ranks : {2, 3, 4}) expect_equal_to_one_rank(lenet_net(), ranks, false);
}

TEST(ShardTensor, GptEqualsOneRank) {
  for (int ranks : {2, 3, 4})
    for (bool sequence : {false, true})
      for (bool tied : {true, false}) expect_equal_to_one_rank(gpt_net(tied), ranks, sequence);
}

TEST(ShardTensor, LlamaEqualsOneRank) {
  for (int ranks : {2, 3, 4})
    for (bool sequence : {false, true}) expect_equal_to_one_rank(llama_net(), ranks, sequence);
}

// Logits stay cut for every loss and metric; shares of 7 classes are unequal.
TEST(ShardTensor, CutLogitsEqualOneRank) {
  for (float smoothing : {0.0f, 0.1f}) {
    Net net = mlp_net({12}, ActivationKind::kTanh);
    net.name = "cut logits";
    net.forward = {};
    Graph& graph = net.forward;
    const core::DType f32 = core::DType::kF32;
    const core::ValueId data = graph.input("data", {{kBatch, 11}, f32});
    const core::ValueId labels = graph.input("labels", {{kBatch}, core::DType::kI32});
    const core::ValueId weights = graph.input("weights", {{kBatch}, f32});
    const core::ValueId weight =
        graph.parameter("fc/weight", {{7, 11}, f32}, core::Init::normal(0, 1),
                        {.dim = 0, .parts = {}, .unequal = true});
    const core::ValueId x =
        graph.add1("fc", std::make_shared<core::Linear>(core::LinearOptions{}), {data, weight});
    graph.add_loss("loss",
                   graph.add("loss",
                             std::make_shared<core::SoftmaxCrossEntropy>(
                                 core::SoftmaxCrossEntropyOptions{.label_smoothing = smoothing}),
                             {x, labels, weights})[0],
                   1, 1);
    graph.add_metric("accuracy", graph.add1("accuracy", std::make_shared<core::Accuracy>(),
                                            {x, labels, weights}));
    EXPECT_THAT(exchanges(net, 2, false), ElementsAre("loss/all_gather", "accuracy/all_gather"));
    for (int ranks : {2, 3, 7}) expect_equal_to_one_rank(net, ranks, false);
  }
}

TEST(ShardTensor, MlpHasTheCollectivesOfTheBook) {
  const Net net = mlp_net({24, 12, 8}, ActivationKind::kTanh);
  EXPECT_THAT(exchanges(net, 2, false),
              ElementsAre("fc2/all_reduce", "fc4/all_reduce", "dropout2/share/grad_input"));
}

TEST(ShardTensor, RowsTakeTheConjugatePairs) {
  models::GptOptions options{
      .layers = 1, .width = 8, .heads = 2, .context = 6, .vocabulary = 5, .tied = false};
  const Net net = language_net("gpt", {.network = options, .place = {}}, 5);
  EXPECT_THAT(
      exchanges(net, 2, true),
      ElementsAre("embedding/reduce_scatter", "block0/norm1/all_gather",
                  "block0/attention/out/reduce_scatter", "block0/norm2/all_gather",
                  "block0/mlp/fc2/reduce_scatter", "norm/all_gather", "loss/all_gather",
                  "norm/all_gather/grad_input", "block0/mlp/fc2/reduce_scatter/grad_input",
                  "block0/norm2/all_gather/grad_input",
                  "block0/attention/out/reduce_scatter/grad_input",
                  "block0/norm1/all_gather/grad_input", "embedding/reduce_scatter/grad_input"));
  EXPECT_THAT(exchanges(net, 2, false),
              ElementsAre("embedding/all_reduce", "block0/attention/out/all_reduce",
                          "block0/mlp/fc2/all_reduce", "loss/all_gather", "norm/share/grad_input",
                          "block0/norm2/share/grad_input", "block0/norm1/share/grad_input"));
}

TEST(ShardTensor, FirstValuesAreSlicesOfTheWhole) {
  const Net net = llama_net();
  const GraphValues one = test::run_graph(net.forward, net.feeds);
  for (const Ran& ran : run_sharded(net.forward, net.feeds, 3, true))
    for (core::ValueId id : ran.graph.with_role(Role::kParameter)) {
      const core::Value& value = ran.graph.value(id);
      const std::vector<double>&local = ran.values.at(value.name), &whole = one.at(value.name);
      core::for_each_run(
          value.slice, value.type.shape, [&](int64_t to, int64_t from, int64_t count) {
            EXPECT_TRUE(std::equal(&local[from], &local[from] + count, &whole[to])) << value.name;
          });
    }
}

std::string refusal(const Net& net, int ranks, bool sequence = false) {
  try {
    shard_tensor(net.forward, {.place = {ranks, 0, kTensorGroup}, .sequence = sequence});
  } catch (const InvalidArgument& error) {
    return error.what();
  }
  return "it was accepted";
}

TEST(ShardTensor, RefusesWhatDoesNotDivide) {
  EXPECT_EQ(refusal(mlp_net({9}, ActivationKind::kRelu), 2),
            "layer 'fc1': the tensor axis (2 ranks) does not divide the 9 outputs of 'fc1/weight'; "
            "nearest: 1 or 3 ranks, or 8 or 10 outputs");
  const auto gpt = [](int64_t width, int64_t heads, int64_t vocabulary) {
    const models::GptOptions options{
        .layers = 1, .width = width, .heads = heads, .context = 6, .vocabulary = vocabulary};
    return language_net("gpt", {.network = options, .place = {}}, static_cast<int32_t>(vocabulary));
  };
  EXPECT_EQ(refusal(gpt(36, 3, 29), 2),
            "layer 'block0/attention': [causal_attention] expects the tensor axis (2 ranks) to "
            "divide its 3 heads; nearest: 1 or 3 ranks, or 2 or 4 heads");
  EXPECT_EQ(
      refusal(gpt(35, 5, 29), 5, true),
      "layer 'block0/norm1': the tensor axis (5 ranks) does not divide the 24 rows (samples x "
      "positions) of 'embedding', which sequence parallelism cuts; nearest: 4 or 6 ranks, or "
      "20 or 25 rows");
  EXPECT_EQ(refusal(gpt(12, 4, 3), 4),
            "layer 'embedding': the tensor axis (4 ranks) does not divide the 3 outputs of "
            "'tokens/weight'; nearest: 3 ranks, or 4 outputs");
}

}  // namespace
}  // namespace trireme::parallel

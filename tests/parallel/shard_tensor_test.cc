#include "parallel/shard_tensor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>

#include "core/base/error.h"
#include "core/graph/differentiate.h"
#include "parallel/groups.h"
#include "tests/support/graph_run.h"
#include "tests/support/ranks.h"
#include "tests/support/tensor_nets.h"

namespace trireme::parallel {
namespace {

using core::Graph;
using core::Role;
using test::GraphFeeds;
using test::GraphValues;

Graph differentiated(Graph graph) {
  core::differentiate(graph, {.global_batch = 5});
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

void expect_equal_to_one_rank(const test::TensorNet& net, int ranks, bool sequence) {
  SCOPED_TRACE(fmt::format("{} on {} ranks{}", net.name, ranks, sequence ? ", by rows" : ""));
  const Graph one_graph = differentiated(net.forward);
  const GraphValues one = test::run_graph(one_graph, net.feeds);
  const std::vector<Ran> all = run_sharded(net.forward, net.feeds, ranks, sequence);
  for (const Ran& ran : all) {
    EXPECT_NEAR(ran.values.at("loss")[0], one.at("loss")[0], 2e-6 * std::abs(one.at("loss")[0]));
    EXPECT_EQ(ran.values.at("loss")[1], one.at("loss")[1]);
    if (one.contains("accuracy")) EXPECT_EQ(ran.values.at("accuracy"), one.at("accuracy"));
  }
  for (core::ValueId id : one_graph.with_role(Role::kParameter)) {
    const std::string& name = one_graph.value(id).name;
    const Whole whole = put_together(all, name, one_graph.type(id).elements());
    EXPECT_THAT(whole.times, ::testing::Each(::testing::Ge(1))) << name;
    expect_close(whole.values, one.at(name + "/grad"), name);
  }
}

std::vector<std::string> exchanges(const Graph& graph) {
  std::vector<std::string> names;
  for (const core::Node& node : graph.nodes())
    if (node.op->exchange() != nullptr) names.push_back(node.name);
  return names;
}

TEST(ShardTensor, MlpEqualsOneRank) {
  for (int ranks : {2, 3, 4})
    for (bool sequence : {false, true}) {
      expect_equal_to_one_rank(test::mlp_net({24, 36, 12, 24}, core::ActivationKind::kRelu), ranks,
                               sequence);
      expect_equal_to_one_rank(test::mlp_net({12}, core::ActivationKind::kGelu), ranks, sequence);
    }
}

TEST(ShardTensor, MlpHasTheCollectivesOfTheBook) {
  const test::TensorNet net = test::mlp_net({24, 12}, core::ActivationKind::kNone);
  const Graph graph = differentiated(shard_tensor(net.forward, {.place = {2, 1, kTensorGroup}}));
  EXPECT_THAT(exchanges(graph), ::testing::ElementsAre("fc2/all_reduce"));
}

}  // namespace
}  // namespace trireme::parallel

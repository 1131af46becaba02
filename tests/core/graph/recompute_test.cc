#include "core/graph/recompute.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "core/graph/differentiate.h"
#include "core/ops/activation.h"
#include "core/ops/add.h"
#include "core/ops/dropout.h"
#include "core/ops/linear.h"
#include "core/ops/softmax_cross_entropy.h"
#include "core/optim/parameter_groups.h"
#include "core/program/build.h"
#include "core/runtime/session.h"
#include "tests/support/small_session.h"

namespace trireme::core {
namespace {

constexpr int64_t kBatch = 12, kWidth = 7;

// data -> three residual blocks, the second the widest and the first the narrowest, of linear,
// GELU, dropout, linear -> classes.
Graph residual_graph() {
  Graph graph;
  const ValueId data = graph.input("data", {{kBatch, kWidth}, DType::kF32});
  const ValueId labels = graph.input("labels", {{kBatch}, DType::kI32});
  const ValueId weights = graph.input("weights", {{kBatch}, DType::kF32});
  const auto linear = [&](const std::string& name, ValueId x, int64_t in, int64_t out) {
    const ValueId w =
        graph.parameter(name + "/weight", {{out, in}, DType::kF32}, Init::uniform(-0.5f, 0.5f));
    return graph.add1(name, std::make_shared<Linear>(LinearOptions{}), {x, w, kNoValue});
  };
  ValueId x = data;
  for (int i = 0; i < 3; ++i) {
    const std::string block = fmt::format("block{}", i);
    graph.set_block(block);
    const int64_t hidden = (i == 1 ? 5 : 3 + i) * kWidth;
    ValueId y = linear(block + "/fc1", x, kWidth, hidden);
    y = graph.add1(block + "/gelu", std::make_shared<Activation>(ActivationKind::kGelu), {y});
    y = graph.add1(block + "/drop", std::make_shared<Dropout>(0.3f, block + "/drop"), {y});
    y = linear(block + "/fc2", y, hidden, kWidth);
    x = graph.add1(block + "/add", std::make_shared<Add>(), {x, y});
  }
  graph.set_block("");
  const ValueId logits = linear("head", x, kWidth, 5);
  const auto loss = std::make_shared<SoftmaxCrossEntropy>(SoftmaxCrossEntropyOptions{});
  graph.add_loss("loss", graph.add("loss", loss, {logits, labels, weights}).front(), 1, 1);
  return graph;
}

SessionPlan plan_of(const std::set<std::string>& blocks) {
  Graph graph = residual_graph();
  differentiate(graph, {.global_batch = kBatch});
  recompute(graph, blocks);
  SessionPlan plan{.optimizer = SgdOptions{}, .seed = 3, .global_batch = kBatch};
  plan.layout = make_flat_layout(graph, 1 << 20, 1);
  plan.ranges = update_ranges(plan.layout, plan.optimizer, {});
  plan.control = {.schedule = {.base_lr = 0.1f}, .nominal_count = kBatch};
  plan.train =
      build_program(std::move(graph), plan.layout, {.micro_batch = kBatch, .update = true});
  return plan;
}

std::vector<float> train(const std::set<std::string>& blocks) {
  const auto device = make_cpu_device(1);
  test::NoTransport transport;
  Session session(*device, transport, plan_of(blocks));
  session.initialize();
  test::SmallBatches batches({.batch = kBatch, .inputs = kWidth, .classes = 5}, 1);
  for (int step = 0; step < 3; ++step) session.train_step(batches);
  return session.parameters();
}

TEST(Recompute, GivesTheSameBits) {
  const std::vector<float> kept = train({});
  EXPECT_EQ(train({"block0", "block1", "block2"}), kept);
  EXPECT_EQ(train({"block1"}), kept);
}

TEST(Recompute, KeepsWhatEntersABlockOnly) {
  const int64_t all = plan_of({}).train.slot_bytes;
  const int64_t some = plan_of({"block0"}).train.slot_bytes;
  const int64_t none = plan_of({"block0", "block1", "block2"}).train.slot_bytes;
  EXPECT_LT(some, all);
  EXPECT_LT(none, some);
}

TEST(Recompute, WhatKeepsMostFreesMost) {
  Graph graph = residual_graph();
  differentiate(graph, {.global_batch = kBatch});
  std::vector<BlockStash> stashes = stashes_of(graph);
  std::ranges::sort(stashes, std::greater{}, &BlockStash::bytes);
  std::set<std::string> chosen;
  for (const BlockStash& stash : stashes) {
    chosen.insert(stash.block);
    const int64_t bytes = plan_of(chosen).train.slot_bytes;
    for (int subset = 0; subset < 8; ++subset) {
      std::set<std::string> blocks;
      for (int i = 0; i < 3; ++i)
        if (subset & (1 << i)) blocks.insert(fmt::format("block{}", i));
      if (blocks.size() == chosen.size()) {
        EXPECT_LE(bytes, plan_of(blocks).train.slot_bytes) << subset;
      }
    }
  }
  EXPECT_EQ(stashes.front().block, "block1");
}

TEST(Recompute, ReadsTheSamePreparedForms) {
  EXPECT_GT(plan_of({}).train.prepared_bytes, 0);
  EXPECT_EQ(plan_of({"block0", "block2"}).train.prepared_bytes, plan_of({}).train.prepared_bytes);
}

TEST(Recompute, CopiesStandRightBeforeTheBlocksBackward) {
  Graph graph = residual_graph();
  differentiate(graph, {.global_batch = kBatch});
  const size_t before = graph.nodes().size();
  recompute(graph, {"block1"});
  std::vector<std::string> names;
  for (const Node& node : graph.nodes()) names.push_back(node.name);
  const auto at = [&](const std::string& name) {
    return std::ranges::find(names, name) - names.begin();
  };
  // fc2's own result is read by nobody in backward: it is not made again.
  EXPECT_EQ(graph.nodes().size(), before + 3);
  EXPECT_EQ(at("block1/drop/again"), at("block1/fc1/again") + 2);
  EXPECT_GT(at("block1/fc1/again"), at("block2/fc1/grad_weight"));
  EXPECT_LT(at("block1/drop/again"), at("block1/fc2/grad_weight"));
}

TEST(Recompute, NamesTheBlocksInOrder) {
  EXPECT_EQ(blocks_of(residual_graph()), (std::vector<std::string>{"block0", "block1", "block2"}));
}

}  // namespace
}  // namespace trireme::core

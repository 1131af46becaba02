#include "parallel/partition.h"

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "tests/support/stage_nets.h"

namespace trireme::parallel {
namespace {

using test::StageNet;

std::string refusal(const PartitionOptions& options, StageNet net = StageNet::kSkips) {
  try {
    partition(test::stage_net(net, 8), options);
    return "";
  } catch (const InvalidArgument& error) {
    return error.what();
  }
}

std::vector<int> first_nodes(const Partition& partition) {
  std::vector<int> first;
  for (size_t id = 0; id < partition.chunk_of.size(); ++id)
    if (id == 0 || partition.chunk_of[id] != partition.chunk_of[id - 1])
      first.push_back(static_cast<int>(id));
  return first;
}

TEST(Partition, ExplainsItself) {
  const PartitionOptions options{.stages = 3};
  EXPECT_EQ(partition(test::stage_net(StageNet::kSkips, 8), options).explain(options),
            R"(3 stages, cut by cost
stage 0   stem                                              444 parameters  12.7 % of the work    7.3 KiB  sends 0.4 KiB
stage 1   block0/fc1 ... block1/add                        1074 parameters  38.3 % of the work   19.6 KiB  sends 0.8 KiB
stage 2   block2/fc1 ... accuracy                          1295 parameters  49.0 % of the work   24.4 KiB
)");
}

TEST(Partition, CutsAtBordersOfBlocks) {
  const core::Graph graph = test::stage_net(StageNet::kSkips, 8);
  const Partition cut = partition(graph, {.stages = 4});
  for (int node : first_nodes(cut))
    EXPECT_TRUE(node == 0 || graph.node(node).block != graph.node(node - 1).block ||
                graph.node(node).block.empty())
        << graph.node(node).name;
}

TEST(Partition, FollowsAnExplicitList) {
  const core::Graph graph = test::stage_net(StageNet::kSkips, 8);
  const Partition cut = partition(graph, {.stages = 3, .ends = {"stem", "block1"}});
  ASSERT_EQ(cut.chunks.size(), 3u);
  EXPECT_EQ(cut.chunks[0].last, "stem");
  EXPECT_EQ(cut.chunks[1].last, "block1/add");
  EXPECT_EQ(cut.chunks[2].first, "block2/fc1");
}

TEST(Partition, AViewStaysWithWhatItViews) {
  const core::Graph graph = test::stage_net(StageNet::kImages, 8);
  const Partition cut = partition(graph, {.stages = 2, .ends = {"conv2"}});
  EXPECT_EQ(cut.chunks[0].last, "flat");
  EXPECT_EQ(refusal({.stages = 2, .ends = {"fc2"}}, StageNet::kImages),
            "parallel.stages: no stage can end with 'fc2'; it may be one of: conv1, pool1, conv2, "
            "fc1");
}

TEST(Partition, RefusesWhatDoesNotFit) {
  EXPECT_EQ(
      refusal({.stages = 30}),
      "parallel.pipeline (30) must not exceed the layers that can be apart (17); nearest: 17");
  EXPECT_EQ(refusal({.stages = 3, .virtual_stages = 10}),
            "parallel.pipeline (3) x parallel.virtual_stages (10) must not exceed the layers that "
            "can be apart (17); nearest: parallel.pipeline 1, or parallel.virtual_stages 5");
  EXPECT_EQ(
      refusal({.stages = 3, .ends = {"stem"}}),
      "parallel.stages expects 2 of the network's layers or blocks, the last of each of 3 stages "
      "but the last, got 1");
  EXPECT_EQ(refusal({.stages = 3, .ends = {"block2", "stem"}}),
            "parallel.stages: 'stem' must come behind the layers named before it; order: stem, "
            "block0, block1, block2, block3, neck, from_stem");
  EXPECT_EQ(
      refusal({.stages = 2, .ends = {"blok1"}}),
      "parallel.stages: no stage can end with 'blok1'; it may be one of: stem, block0, block1, "
      "block2, block3, neck, from_stem");
}

TEST(Partition, AMemoryLimitMovesTheCut) {
  const core::Graph graph = test::stage_net(StageNet::kDense, 64);
  const PartitionOptions free{.stages = 2, .stashes = {2, 1}};
  PartitionOptions limited = free;
  const Partition best = partition(graph, free);
  const int64_t most = std::max(best.chunks[0].memory_bytes, best.chunks[1].memory_bytes);
  limited.memory_limit = most - 1;
  const Partition moved = partition(graph, limited);
  EXPECT_NE(first_nodes(moved), first_nodes(best));
  for (const ChunkReport& chunk : moved.chunks) EXPECT_LT(chunk.memory_bytes, most);
}

int64_t largest_chunk(const Partition& cut) {
  return std::ranges::max(cut.chunks, {}, &ChunkReport::memory_bytes).memory_bytes;
}

TEST(Partition, WhatNoCutKeepsIsComeNearTo) {
  const core::Graph graph = test::stage_net(StageNet::kSkips, 64);
  PartitionOptions options{.stages = 2, .stashes = {2, 1}};
  int64_t smallest = largest_chunk(partition(graph, options));
  for (const std::string end : {"stem", "block0", "block1", "block2", "block3", "neck"}) {
    options.ends = {end};
    smallest = std::min(smallest, largest_chunk(partition(graph, options)));
  }
  options.ends.clear();
  options.memory_limit = 1000;
  EXPECT_LE(largest_chunk(partition(graph, options)), smallest + smallest / 50);
}

TEST(Partition, BlocksThatAreComputedAgainStashWhatLeavesThem) {
  const core::Graph graph = test::stage_net(StageNet::kSkips, 64);
  using Recompute = PartitionOptions::Recompute;
  PartitionOptions options{.stages = 2, .stashes = {2, 1}};
  const int64_t kept = largest_chunk(partition(graph, options));
  options.recompute = Recompute::kAll;
  const int64_t again = largest_chunk(partition(graph, options));
  EXPECT_LT(again, kept);
  options.recompute = Recompute::kIfNeeded;
  EXPECT_EQ(largest_chunk(partition(graph, options)), kept);  // without a limit, nothing is
  options.memory_limit = again;
  EXPECT_LE(largest_chunk(partition(graph, options)), again);
}

TEST(Partition, AnotherGraphOfTheNetworkIsCutAlike) {
  core::Graph train = test::stage_net(StageNet::kDense, 8);
  core::Graph eval = test::stage_net(StageNet::kDense, 4, false);  // has no dropout
  set_chunks(train, partition(train, {.stages = 4}));
  copy_chunks(train, eval);
  for (const core::Node& node : eval.nodes()) {
    const auto same = std::ranges::find(train.nodes(), node.name, &core::Node::name);
    ASSERT_NE(same, train.nodes().end()) << node.name;
    EXPECT_EQ(node.chunk, same->chunk) << node.name;
  }
  EXPECT_EQ(eval.nodes().back().chunk, 3);
}

}  // namespace
}  // namespace trireme::parallel

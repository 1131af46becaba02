#include "core/graph/layer_groups.h"

#include <gtest/gtest.h>

#include <memory>

#include "core/graph/recompute.h"
#include "core/ops/linear.h"

namespace trireme::core {
namespace {

// A chain of linear layers of the given widths.
Graph chain(const std::vector<int64_t>& widths) {
  Graph graph;
  ValueId x = graph.input("data", {{2, widths[0]}, DType::kF32});
  for (size_t i = 1; i < widths.size(); ++i) {
    const std::string name = "fc" + std::to_string(i);
    const ValueId weight = graph.parameter(
        name + "/weight", {{widths[i], widths[i - 1]}, DType::kF32}, Init::constant(1));
    x = graph.add1(name, std::make_shared<Linear>(LinearOptions{}), {x, weight, kNoValue});
  }
  return graph;
}

TEST(LayerGroups, NineEqualLayersFallIntoThreeGroups) {
  Graph graph = chain(std::vector<int64_t>(10, 8));
  group_layers(graph);
  EXPECT_EQ(blocks_of(graph), (std::vector<std::string>{"fc1", "fc4", "fc7"}));
}

TEST(LayerGroups, EndWhereLittleCrosses) {
  Graph graph = chain({4, 64, 64, 2, 64, 64, 2, 64, 64});
  group_layers(graph);
  EXPECT_EQ(blocks_of(graph), (std::vector<std::string>{"fc1", "fc4", "fc7"}));
}

TEST(LayerGroups, NoneWhereNothingIsGained) {
  Graph graph = chain({64, 8, 4});
  group_layers(graph);
  EXPECT_TRUE(blocks_of(graph).empty());
}

TEST(LayerGroups, StayWithinAChunk) {
  Graph graph = chain(std::vector<int64_t>(13, 8));
  for (NodeId id = 6; id < 12; ++id) graph.set_chunk(id, 1);
  group_layers(graph);
  EXPECT_EQ(graph.node(0).block, "fc1");
  EXPECT_NE(graph.node(5).block, "fc1");  // six layers fall into several groups
  EXPECT_EQ(graph.node(6).block, "fc7");  // the other chunk's begin anew
}

}  // namespace
}  // namespace trireme::core

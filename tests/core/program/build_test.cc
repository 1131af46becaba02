#include "core/program/build.h"

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/ops/reshape.h"
#include "core/ops/scale.h"

namespace trireme::core {
namespace {

Program build(Graph graph) {
  const FlatLayout layout = make_flat_layout(graph, 1 << 20, 1);
  return build_program(std::move(graph), layout, {});
}

std::string refusal(Graph graph) {
  try {
    build(std::move(graph));
  } catch (const InvalidArgument& error) {
    return error.what();
  }
  return "nothing was thrown";
}

// A view moves nothing, so nobody would write what is kept of it.
TEST(BuildProgram, RefusesToKeepAView) {
  Graph graph;
  const ValueId data = graph.input("data", {{2, 6}, DType::kF32});
  const ValueId x = graph.add1("scaled", std::make_shared<Scale>(2.0f), {data});
  const auto reshape = std::make_shared<Reshape>(std::vector<int64_t>{2, 3});
  const ValueId view = graph.add1("view", reshape, {x});
  Graph of_input = graph;
  const ValueId data_view = of_input.add1("data_view", reshape, {data});

  graph.keep(x);
  EXPECT_EQ(build(graph).state_bytes, 256);
  graph.keep(view);
  EXPECT_EQ(refusal(graph),
            "[program] expects what is kept to be made by a node, got 'view', a view of 'scaled'");
  of_input.keep(data_view);
  EXPECT_EQ(
      refusal(of_input),
      "[program] expects what is kept to be made by a node, got 'data_view', a view of 'data'");
}

}  // namespace
}  // namespace trireme::core

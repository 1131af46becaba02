#include "core/program/program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/ops/exchange.h"

namespace trireme::core {
namespace {

constexpr TensorPlace kPlace{.size = 3, .rank = 1, .group = 2};

// Any kind of call, on values of the sizes of an all_gather.
class AnyExchange : public AllGather {
 public:
  explicit AnyExchange(CollectiveKind kind)
      : AllGather(kPlace, Shape{6, 4}, GatherGradient::kNothing),
        exchange_{kind, ReduceOp::kSum, kPlace.group} {}
  const Exchange* exchange() const override { return &exchange_; }

 private:
  Exchange exchange_;
};

Graph graph_of(OpPtr op, Shape x) {
  Graph graph;
  graph.add1("meeting", std::move(op), {graph.input("x", {std::move(x), DType::kF32})});
  return graph;
}

int64_t count_of(OpPtr op, Shape x) {
  const Graph graph = graph_of(std::move(op), std::move(x));
  return exchange_call(graph, graph.node(0)).count;
}

TEST(ExchangeCall, CountsAsCollectivesDo) {
  const Graph graph = graph_of(std::make_shared<AllReduce>(kPlace), {6, 4});
  const CollectiveCall sum = exchange_call(graph, graph.node(0));
  EXPECT_EQ(sum.kind, CollectiveKind::kAllReduce);
  EXPECT_EQ(sum.group, 2);
  EXPECT_EQ(sum.dtype, DType::kF32);
  EXPECT_EQ(sum.count, 24);
  EXPECT_STREQ(sum.what, "meeting");
  const auto gather = std::make_shared<AllGather>(kPlace, Shape{6, 4}, GatherGradient::kNothing);
  EXPECT_EQ(count_of(gather, {2, 4}), 8);  // sent
  const auto scatter = std::make_shared<ReduceScatter>(kPlace, Shape{2, 4});
  EXPECT_EQ(count_of(scatter, {6, 4}), 8);  // received
}

TEST(ExchangeCall, RefusesOtherKinds) {
  for (const CollectiveKind kind : {CollectiveKind::kBroadcast, CollectiveKind::kAllToAll,
                                    CollectiveKind::kSend, CollectiveKind::kRecv}) {
    try {
      count_of(std::make_shared<AnyExchange>(kind), {2, 4});
      ADD_FAILURE() << "expected InvalidArgument for " << name_of(kind);
    } catch (const InvalidArgument& error) {
      EXPECT_THAT(error.what(), ::testing::EndsWith(std::string("got the ") +
                                                    std::string(name_of(kind)) + " 'meeting'"));
    }
  }
}

}  // namespace
}  // namespace trireme::core

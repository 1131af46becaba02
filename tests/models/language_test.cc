// The language models as graphs: sizes, names, what they refuse.
#include <gtest/gtest.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/graph/differentiate.h"
#include "models/model.h"

namespace trireme::models {
namespace {

using core::Graph;
using core::Role;

BuildRequest request(int64_t vocabulary, int64_t tokens) {
  return {.batch = 2,
          .sample = {tokens},
          .classes = vocabulary,
          .sample_type = core::DType::kI32,
          .labels = {tokens}};
}

int64_t parameters_of(const Graph& graph) {
  int64_t count = 0;
  for (core::ValueId id : graph.with_role(Role::kParameter)) count += graph.type(id).elements();
  return count;
}

template <typename Options>
Graph build(const Options& options, const BuildRequest& how) {
  return build_model({.network = options, .place = {}}, how);
}

constexpr LlamaOptions kLlama{.layers = 2,
                              .width = 32,
                              .heads = 4,
                              .kv_heads = 2,
                              .hidden = 44,
                              .context = 16,
                              .vocabulary = 50};
constexpr GptOptions kGpt{.layers = 2, .width = 24, .heads = 3, .context = 16, .vocabulary = 50};

TEST(Gpt, PresetsHaveThePublishedNumbersOfParameters) {
  for (const auto& [preset, count] : {std::pair{GptPreset::k124M, 124439808},
                                      {GptPreset::k355M, 354823168},
                                      {GptPreset::k774M, 774030080},
                                      {GptPreset::k1558M, 1557611200}})
    EXPECT_EQ(parameters_of(build(gpt_preset(preset), request(50257, 1024))), count);
}

TEST(Gpt, UntiedHasAHeadOfItsOwn) {
  GptOptions untied = kGpt;
  untied.tied = false;
  const Graph graph = build(untied, request(50, 16));
  EXPECT_EQ(parameters_of(graph), parameters_of(build(kGpt, request(50, 16))) + 50 * 24);
  EXPECT_NE(graph.find("head/weight"), core::kNoValue);
}

TEST(Llama, HasTheParametersOfItsFormula) {
  const int64_t H = 32, F = 44, V = 50, kv = 16;
  const int64_t block = 2 * H + (H + 2 * kv) * H + H * H + 2 * F * H + H * F;
  EXPECT_EQ(parameters_of(build(kLlama, request(50, 16))), 2 * V * H + 2 * block + H);
}

template <typename Options>
void expect_gradients(const Options& options) {
  Graph graph = build(options, request(50, 9));
  core::differentiate(graph, {.global_batch = 4});
  for (core::ValueId id : graph.with_role(Role::kParameter)) {
    const std::string& name = graph.value(id).name;
    EXPECT_NE(graph.find(name + "/grad"), core::kNoValue) << name;
  }
}

TEST(Language, EveryParameterHasAGradient) {
  expect_gradients(kGpt);
  expect_gradients(kLlama);
}

TEST(Language, BlocksAreNamed) {
  const Graph graph = build(kGpt, request(50, 9));
  const auto block_of = [&](const std::string& name) {
    return graph.node(graph.value(graph.find(name)).producer).block;
  };
  EXPECT_EQ(block_of("embedding"), "");
  EXPECT_EQ(block_of("block0/norm1"), "block0");
  EXPECT_EQ(block_of("block1/mlp/fc2"), "block1");
  EXPECT_EQ(block_of("norm"), "");
}

TEST(Language, LossCountsTokensAndOnlyEvaluationCountsHits) {
  BuildRequest how = request(50, 9);
  const Graph train = build(kLlama, how);
  EXPECT_EQ(train.losses().at(0).nominal_per_sample, 9);
  EXPECT_TRUE(train.metrics().empty());
  how.training = false;
  EXPECT_EQ(build(kLlama, how).metrics().at(0).name, "accuracy");
}

TEST(Language, DropoutIsOfEmbeddingAndBranches) {
  GptOptions options = kGpt;
  options.dropout = 0.1f;
  const auto dropouts = [&](bool training) {
    BuildRequest how = request(50, 9);
    how.training = training;
    const Graph graph = build(options, how);
    return std::ranges::count_if(graph.nodes(),
                                 [](const core::Node& n) { return n.op->type() == "dropout"; });
  };
  EXPECT_EQ(dropouts(true), 1 + 2 * 2);
  EXPECT_EQ(dropouts(false), 0);
}

// What is said of a model and a micro-batch that do not fit.
template <typename Options>
std::string refusal(const Options& options, const BuildRequest& how) {
  try {
    build(options, how);
  } catch (const InvalidArgument& error) {
    return error.what();
  }
  return "";
}

TEST(Language, RefusesWhatDoesNotFit) {
  EXPECT_EQ(refusal(kGpt, request(50, 17)),
            "[gpt] expects samples of at most 16 tokens, its context, got 17");
  EXPECT_EQ(refusal(kLlama, request(50, 17)),
            "[llama] expects samples of at most 16 tokens, its context, got 17");
  EXPECT_EQ(refusal(kGpt, {.sample = {8}, .classes = 2}),
            "[gpt] expects tokens (S) with a label each, got f32(8) with labels ()");
  EXPECT_EQ(
      refusal(kGpt, {.sample = {8}, .classes = 2, .sample_type = core::DType::kI32, .labels = {7}}),
      "[gpt] expects tokens (S) with a label each, got i32(8) with labels (7)");
  EXPECT_NE(refusal(kGpt, request(51, 8)).find("but the data has 51 classes"), std::string::npos);
}

TEST(Language, GenerationHasACacheABlockAndNoLoss) {
  BuildRequest how = request(50, 3);
  how.batch = 1;
  how.generation = GenerationRequest{.cache_positions = 16};
  const Graph graph = build(kLlama, how);
  EXPECT_TRUE(graph.losses().empty());
  const core::ValueId cache = graph.find("block1/attention/cache");
  ASSERT_NE(cache, core::kNoValue);
  EXPECT_EQ(graph.type(cache).shape, (core::Shape{1, 16, 2 * 2 * 8}));
  EXPECT_EQ(graph.value(graph.find("head")).role, Role::kState);
  how.generation->logits = false;
  EXPECT_EQ(build(kLlama, how).find("head"), core::kNoValue);
}

}  // namespace
}  // namespace trireme::models

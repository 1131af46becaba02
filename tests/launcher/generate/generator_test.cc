// Generation with caches gives the logits that the whole context gives at once.
#include "launcher/generate/generator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "core/base/error.h"
#include "core/random/initializer.h"
#include "core/random/philox.h"

namespace trireme::launcher {
namespace {

// Larger than first values are, so that every position tells on every later one.
void set_weights(core::Inference& inference) {
  std::vector<float> values;
  for (const core::FlatParameter& parameter : inference.layout().parameters) {
    values.resize(static_cast<size_t>(parameter.elements));
    core::fill(core::Init::normal(parameter.init.a, 0.3f),
               core::random_key(7, "init", parameter.name), 0, values);
    inference.set_parameter(parameter.name, values);
  }
}

std::vector<int32_t> some_tokens(size_t count, int32_t vocabulary) {
  std::vector<int32_t> tokens;
  for (size_t i = 0; i < count; ++i)
    tokens.push_back(static_cast<int32_t>((7 * i + i * i / 3) % vocabulary));
  return tokens;
}

// Logits of every position, from the network that evaluations run.
std::vector<float> whole_context(core::Device& device, const models::ModelOptions& model,
                                 const std::vector<int32_t>& tokens) {
  const auto length = static_cast<int64_t>(tokens.size());
  const int64_t vocabulary = models::language_limits(model)->vocabulary;
  core::Graph graph = models::build_model(model, {.batch = 1,
                                                  .sample = {length},
                                                  .classes = vocabulary,
                                                  .training = false,
                                                  .sample_type = core::DType::kI32,
                                                  .labels = {length}});
  graph.keep(graph.find("head"));
  std::vector<core::Graph> graphs;
  graphs.push_back(std::move(graph));
  core::Inference inference(device, std::move(graphs));
  set_weights(inference);
  const float weight = 1;
  inference.run(0, std::array<const void*, 3>{tokens.data(), tokens.data(), &weight});
  std::vector<float> logits(static_cast<size_t>(length * vocabulary));
  inference.read("head", logits);
  return logits;
}

void expect_close(std::span<const float> got, std::span<const float> want, size_t position) {
  double largest = 0, worst = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    largest = std::max(largest, std::abs(static_cast<double>(want[i])));
    worst = std::max(worst, std::abs(static_cast<double>(got[i]) - want[i]));
  }
  EXPECT_GT(largest, 0.1);
  EXPECT_LE(worst, 2e-5 * largest) << "position " << position;
}

models::ModelOptions gpt(int64_t context) {
  return {.network =
              models::GptOptions{
                  .layers = 2, .width = 24, .heads = 3, .context = context, .vocabulary = 37},
          .place = {}};
}

models::ModelOptions llama(int64_t context) {
  return {.network = models::LlamaOptions{.layers = 2,
                                          .width = 32,
                                          .heads = 4,
                                          .kv_heads = 2,
                                          .hidden = 44,
                                          .context = context,
                                          .vocabulary = 37},
          .place = {}};
}

class GeneratorTest : public testing::TestWithParam<bool> {
 protected:
  models::ModelOptions model(int64_t context) const {
    return GetParam() ? gpt(context) : llama(context);
  }
  std::unique_ptr<core::Device> device_ = core::make_cpu_device(2);
};

TEST_P(GeneratorTest, TokenByTokenIsTheWholeContext) {
  const std::vector<int32_t> tokens = some_tokens(11, 37);
  const std::vector<float> want = whole_context(*device_, model(11), tokens);
  Generator generator(*device_, model(11));
  set_weights(generator.inference());
  for (int pass = 0; pass < 2; ++pass) {  // the second finds the caches of the first
    generator.restart();
    for (size_t i = 0; i < tokens.size(); ++i)
      expect_close(generator.read({&tokens[i], 1}), std::span(want).subspan(37 * i, 37), i);
  }
}

// Chunks of 64: whole ones, one that is filled up, and a rest that has no room to be.
TEST_P(GeneratorTest, PromptsOfAnyLengthAreTheWholeContext) {
  const std::vector<int32_t> tokens = some_tokens(150, 37);
  const std::vector<float> want = whole_context(*device_, model(150), tokens);
  Generator generator(*device_, model(150));
  set_weights(generator.inference());
  for (size_t prompt : {2, 64, 65, 66, 100, 129, 149}) {
    generator.restart();
    expect_close(generator.read(std::span(tokens).first(prompt)),
                 std::span(want).subspan(37 * (prompt - 1), 37), prompt - 1);
    EXPECT_EQ(generator.position(), static_cast<int64_t>(prompt));
    expect_close(generator.read({&tokens[prompt], 1}), std::span(want).subspan(37 * prompt, 37),
                 prompt);
  }
}

TEST_P(GeneratorTest, RefusesWhatHasNoPlace) {
  Generator generator(*device_, model(11));
  const auto message = [&](const std::vector<int32_t>& tokens) -> std::string {
    try {
      generator.read(tokens);
    } catch (const InvalidArgument& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(message({}), "[generate] expects at least one token to go on from");
  EXPECT_EQ(message({37}), "[generate] expects tokens from 0 to 36, got 37");
  EXPECT_EQ(message({-1}), "[generate] expects tokens from 0 to 36, got -1");
  EXPECT_EQ(message(some_tokens(12, 37)),
            "[generate] 12 tokens after 0 are more than the model's context, 11");
  EXPECT_EQ(message(some_tokens(11, 37)), "");
  EXPECT_EQ(message({1}), "[generate] 1 tokens after 11 are more than the model's context, 11");
}

INSTANTIATE_TEST_SUITE_P(GptAndLlama, GeneratorTest, testing::Bool());

}  // namespace
}  // namespace trireme::launcher

// Both language models against PyTorch: loss, every gradient, and 20 steps of AdamW.
#include "tests/support/language_golden.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/graph/differentiate.h"
#include "core/graph/precision.h"
#include "core/optim/parameter_groups.h"
#include "core/program/build.h"
#include "models/model.h"
#include "tests/support/small_session.h"

namespace trireme::test {
namespace {

using namespace core;

models::BuildRequest request_of(const GoldenLanguage& golden, bool training) {
  return {.batch = golden.batch,
          .sample = {golden.sequence},
          .classes = golden.vocabulary,
          .training = training,
          .sample_type = DType::kI32,
          .labels = {golden.sequence}};
}

SessionPlan plan_of(const GoldenLanguage& golden, DType operands = DType::kF32) {
  Graph train = models::build_model(golden.model, request_of(golden, true));
  set_precision(train, operands);
  const auto terms = static_cast<double>(golden.batch * golden.sequence);
  differentiate(train, {.global_batch = golden.batch});
  SessionPlan plan{.optimizer = golden.adamw, .seed = 3, .global_batch = golden.batch};
  plan.layout = make_flat_layout(train, 1 << 20, 1);
  plan.ranges = update_ranges(plan.layout, golden.adamw, {});
  plan.control = {
      .schedule = {.base_lr = golden.lr}, .clip_norm = golden.clip_norm, .nominal_count = terms};
  plan.control.beta1 = golden.adamw.beta1;
  plan.control.beta2 = golden.adamw.beta2;
  plan.train =
      build_program(std::move(train), plan.layout, {.micro_batch = golden.batch, .update = true});
  plan.eval = build_program(models::build_model(golden.model, request_of(golden, false)),
                            plan.layout, {.name = "eval", .micro_batch = golden.batch});
  return plan;
}

// Relative to the largest: an element near zero is a difference of larger numbers.
void expect_close(const std::string& name, const std::vector<float>& got,
                  const std::vector<float>& want) {
  ASSERT_EQ(got.size(), want.size()) << name;
  double largest = 0, worst = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    largest = std::max(largest, std::abs(static_cast<double>(want[i])));
    worst = std::max(worst, std::abs(static_cast<double>(got[i]) - want[i]));
  }
  EXPECT_GT(largest, 1e-3) << name << ": nothing to compare";
  EXPECT_LE(worst, 1e-4 * largest) << name;
}

class LanguageGolden : public testing::TestWithParam<std::tuple<size_t, int>> {};

TEST_P(LanguageGolden, LossesAndGradientsAreThoseOfPyTorch) {
  const auto [which, threads] = GetParam();
  const GoldenLanguage golden = read_golden_languages().at(which);
  const auto device = make_cpu_device(threads);
  NoTransport transport;
  Session session(*device, transport, plan_of(golden));
  ASSERT_EQ(session.plan().layout.parameters.size(), golden.parameters.size());
  for (const GoldenParameter& parameter : golden.parameters) {
    EXPECT_EQ(session.plan().layout.find(parameter.name).shape, parameter.shape);
    session.set_parameter(parameter.name, parameter.initial);
  }
  GoldenTokens tokens(golden);
  const PassResult before = session.evaluate(tokens);
  EXPECT_NEAR(before.sums[0].mean(), golden.losses[0], 1e-4);
  EXPECT_EQ(before.sums[0].weight, static_cast<double>(golden.batch * golden.sequence));

  GoldenTokens again(golden);
  for (size_t step = 0; step < golden.losses.size(); ++step) {
    const PassResult& result = session.train_step(again);
    EXPECT_NEAR(result.sums[0].mean(), golden.losses[step], 1e-4) << "step " << step;
    if (step > 0) continue;
    for (const GoldenParameter& parameter : golden.parameters)
      expect_close(parameter.name, session.gradient(parameter.name), parameter.gradient);
  }
}

INSTANTIATE_TEST_SUITE_P(GptAndLlama, LanguageGolden,
                         testing::Combine(testing::Values(0, 1), testing::Values(1, 3)));

// The largest difference, relative to the largest of what is wanted.
double distance(const std::vector<float>& got, const std::vector<float>& want) {
  double largest = 0, worst = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    largest = std::max(largest, std::abs(double{want[i]}));
    worst = std::max(worst, std::abs(double{got.at(i)} - want[i]));
  }
  return worst / largest;
}

double distance(const std::map<std::string, std::vector<float>>& got,
                const std::map<std::string, std::vector<float>>& want) {
  double worst = 0;
  for (const auto& [name, values] : want) worst = std::max(worst, distance(got.at(name), values));
  return worst;
}

double distance(const std::vector<double>& got, const std::vector<double>& want) {
  double worst = 0;
  for (size_t i = 0; i < want.size(); ++i) worst = std::max(worst, std::abs(got.at(i) - want[i]));
  return worst;
}

GoldenBf16::Run run_of(const GoldenLanguage& golden, DType operands, int threads) {
  const auto device = make_cpu_device(threads, HalfProducts::kRounded);
  NoTransport transport;
  Session session(*device, transport, plan_of(golden, operands));
  for (const GoldenParameter& parameter : golden.parameters)
    session.set_parameter(parameter.name, parameter.initial);
  GoldenTokens tokens(golden);
  GoldenBf16::Run run;
  for (size_t step = 0; step < golden.losses.size(); ++step) {
    run.losses.push_back(session.train_step(tokens).sums[0].mean());
    if (step > 0) continue;
    for (const GoldenParameter& parameter : golden.parameters)
      run.gradients[parameter.name] = session.gradient(parameter.name);
  }
  return run;
}

class Bf16Golden : public testing::TestWithParam<std::tuple<size_t, int>> {};

// docs/precision.md states these bounds and what was measured.
TEST_P(Bf16Golden, FollowsPyTorch) {
  const auto [which, threads] = GetParam();
  const GoldenBf16 golden = read_golden_bf16().at(which);
  const GoldenBf16::Run run = run_of(read_golden_languages().at(which), DType::kBF16, threads);
  const double first = std::abs(run.losses[0] - golden.rounded.losses[0]);
  RecordProperty("first_loss", std::to_string(first));
  fmt::print(
      "first {:.2e} gradients {:.2e} losses {:.2e} | autocast gradients {:.2e} losses {:.2e}\n",
      first, distance(run.gradients, golden.rounded.gradients),
      distance(run.losses, golden.rounded.losses),
      distance(run.gradients, golden.autocast.gradients),
      distance(run.losses, golden.autocast.losses));
}

INSTANTIATE_TEST_SUITE_P(GptAndLlama, Bf16Golden,
                         testing::Combine(testing::Values(0, 1), testing::Values(1, 3)));

}  // namespace
}  // namespace trireme::test

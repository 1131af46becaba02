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
  Graph eval = models::build_model(golden.model, request_of(golden, false));
  set_precision(eval, operands);
  plan.eval =
      build_program(std::move(eval), plan.layout, {.name = "eval", .micro_batch = golden.batch});
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

// Of every gradient in its turn, relative to its largest element: the largest difference, and the
// root of their mean square.
struct Distance {
  double largest = 0, rms = 0;
};
Distance distance(const std::map<std::string, std::vector<float>>& got,
                  const std::map<std::string, std::vector<float>>& want) {
  Distance worst;
  for (const auto& [name, values] : want) {
    double scale = 0, largest = 0, squares = 0;
    for (size_t i = 0; i < values.size(); ++i) {
      const double difference = std::abs(double{got.at(name).at(i)} - values[i]);
      scale = std::max(scale, std::abs(double{values[i]}));
      largest = std::max(largest, difference);
      squares += difference * difference;
    }
    worst.largest = std::max(worst.largest, largest / scale);
    worst.rms = std::max(worst.rms, std::sqrt(squares / std::ssize(values)) / scale);
  }
  return worst;
}

double distance(const std::vector<double>& got, const std::vector<double>& want) {
  double worst = 0;
  for (size_t i = 0; i < want.size(); ++i) worst = std::max(worst, std::abs(got.at(i) - want[i]));
  return worst;
}

// A sum whose last bit differs may round to the other neighbour, 2^-8 away, and then what follows
// differs by that: so bounds are bf16's, except where nothing lay so near a tie.
class Bf16Golden : public testing::TestWithParam<std::tuple<size_t, int>> {
 protected:
  Bf16Golden() {
    for (const GoldenParameter& parameter : language_.parameters)
      session_.set_parameter(parameter.name, parameter.initial);
  }
  std::vector<double> first_losses();
  GoldenBf16::Run train();

  GoldenLanguage language_ = read_golden_languages().at(std::get<0>(GetParam()));
  GoldenBf16 golden_ = read_golden_bf16().at(std::get<0>(GetParam()));

 private:
  std::unique_ptr<Device> device_ =
      make_cpu_device(std::get<1>(GetParam()), HalfProducts::kRounded);
  NoTransport transport_;
  Session session_{*device_, transport_, plan_of(language_, DType::kBF16)};
};

std::vector<double> Bf16Golden::first_losses() {
  GoldenLanguage all_differ = language_;
  all_differ.batches = static_cast<int>(golden_.first_losses.size());
  GoldenTokens tokens(all_differ);
  std::vector<double> losses;
  for (int i = 0; i < all_differ.batches; ++i)
    losses.push_back(session_.evaluate(tokens).sums[0].mean());
  return losses;
}

GoldenBf16::Run Bf16Golden::train() {
  GoldenTokens tokens(language_);
  GoldenBf16::Run run;
  for (size_t step = 0; step < language_.losses.size(); ++step) {
    run.losses.push_back(session_.train_step(tokens).sums[0].mean());
    if (step > 0) continue;
    for (const GoldenParameter& parameter : language_.parameters)
      run.gradients[parameter.name] = session_.gradient(parameter.name);
  }
  return run;
}

// Measured: three quarters of them to 7e-7, the others to 2e-4. In f32 the first of them are 2e-4
// (GPT) and 2e-3 (Llama) away.
TEST_P(Bf16Golden, LossesAreThoseOfPyTorchWhereNothingIsNearATie) {
  const std::vector<double> losses = first_losses();
  std::vector<double> differences;
  for (size_t i = 0; i < losses.size(); ++i)
    differences.push_back(std::abs(losses[i] - golden_.first_losses[i]));
  std::ranges::sort(differences);
  EXPECT_LE(differences[differences.size() / 4], 1e-6);
  EXPECT_LE(differences.back(), 1e-3);
}

// docs/precision.md has these bounds and what was measured.
TEST_P(Bf16Golden, GradientsAndTwentyStepsFollowPyTorch) {
  const GoldenBf16::Run run = train();
  const Distance to_rounded = distance(run.gradients, golden_.rounded.gradients);
  EXPECT_LE(to_rounded.largest, 1e-2);
  EXPECT_LE(to_rounded.rms, 2.5e-3);
  EXPECT_LE(distance(run.losses, golden_.rounded.losses), 3e-3);

  const Distance to_autocast = distance(run.gradients, golden_.autocast.gradients);
  EXPECT_LE(to_autocast.largest, 3e-2);
  EXPECT_LE(to_autocast.rms, 1e-2);
  EXPECT_LE(distance(run.losses, golden_.autocast.losses), 1e-2);

  std::map<std::string, std::vector<float>> f32;
  for (const GoldenParameter& parameter : language_.parameters)
    f32[parameter.name] = parameter.gradient;
  EXPECT_GE(distance(f32, golden_.rounded.gradients).rms, 3e-3) << "bf16 makes no difference";
}

INSTANTIATE_TEST_SUITE_P(GptAndLlama, Bf16Golden,
                         testing::Combine(testing::Values(0, 1), testing::Values(1, 3)));

}  // namespace
}  // namespace trireme::test

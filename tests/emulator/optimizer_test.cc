// Norm, control and update kernels against the CPU's, which share their formulas bit for bit, and
// the norm against a loop in double.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "core/optim/optimizer_kernels.h"
#include "emulator_device.h"
#include "tests/support/host_tensor.h"

namespace trireme::test {
namespace {

using core::StepState;
using core::UpdateRange;

constexpr int64_t kElements = 40'000;

std::vector<float> draw(uint64_t seed, int64_t count = kElements) {
  Random random(seed);
  const HostTensor tensor = random.normal({count});
  return {tensor.values.begin(), tensor.values.end()};
}

// Neighbours with other decays and rates, a gap, ends that no vector width divides, and a range
// longer than one block's share.
const std::vector<UpdateRange> kRanges = {{1, 3, 0.2f, 1},
                                          {3, 1003, 0.1f, 1},
                                          {1003, 4099, 0, 0.5f},
                                          {5000, 5001, 0, 1.5f},
                                          {5121, kElements - 1, 0.01f, 2}};

struct Buffers {
  std::vector<float> parameters = draw(1), gradients = draw(2), moment1 = draw(3), moment2;
  StepState step{.grad_multiplier = 0.125f,
                 .learning_rate = 0.01f,
                 .bias_correction1 = 0.271f,
                 .bias_correction2 = 0.002997f,
                 .apply = 1};

  explicit Buffers(int shift = 0) : moment2(draw(4)) {
    for (float& v : moment2) v *= v;  // second moments are never negative
    for (auto* buffer : {&parameters, &gradients, &moment1, &moment2})
      buffer->insert(buffer->begin(), static_cast<size_t>(shift), -1.0f);
  }

  void update(core::UpdateKernel& kernel, int moments, core::DeviceKind device, int shift) {
    kernel.run({.parameters = parameters.data() + shift,
                .gradients = gradients.data() + shift,
                .moment1 = moments > 0 ? moment1.data() + shift : nullptr,
                .moment2 = moments > 1 ? moment2.data() + shift : nullptr,
                .step = &step,
                .stream = {.handle = nullptr, .device = device}});
  }
  bool operator==(const Buffers& other) const {
    return parameters == other.parameters && moment1 == other.moment1 && moment2 == other.moment2;
  }
};

Buffers updated(core::DeviceKind device, const core::OptimizerOptions& options, int shift,
                int apply) {
  Buffers buffers(shift);
  buffers.step.apply = apply;
  const auto kernel = core::make_update_kernel(device, options, kRanges, {.threads = 1});
  buffers.update(*kernel, core::moment_count(options), device, shift);
  return buffers;
}

TEST(EmulatedOptimizer, UpdatesEqualTheCpu) {
  const std::vector<core::OptimizerOptions> all = {
      core::SgdOptions{}, core::SgdOptions{.momentum = 0.9f},
      core::SgdOptions{.momentum = 0.9f, .nesterov = true}, core::AdamOptions{.decoupled = false},
      core::AdamOptions{}};
  for (const auto& options : all)
    for (int shift : {0, 1}) {
      const Buffers want = updated(core::DeviceKind::kCpu, options, shift, 1);
      EXPECT_FALSE(want == Buffers(shift));
      EXPECT_EQ(want.parameters[0 + shift], Buffers(shift).parameters[0 + shift]);  // in no range
      for (const emulator::Schedule schedule : all_schedules()) {
        emulator::set_schedule(schedule);
        EXPECT_TRUE(updated(core::DeviceKind::kCuda, options, shift, 1) == want) << shift;
      }
      EXPECT_TRUE(updated(core::DeviceKind::kCuda, options, shift, 0) == Buffers(shift));
    }
}

std::vector<float> averaged(core::DeviceKind device, int shift, int apply) {
  std::vector<UpdateRange> ranges = kRanges;
  for (UpdateRange& range : ranges) range.moment_shift = 4;
  const core::AverageKernel kernel(device, {.decay = 0.75f}, ranges, {.threads = 1});
  std::vector<float> averages = draw(8, shift + kElements + 4);
  const std::vector<float> parameters = draw(9, shift + kElements);
  const StepState step{.applied_steps = 7, .apply = apply};
  kernel.run(parameters.data() + shift, averages.data() + shift, &step,
             {.handle = nullptr, .device = device});
  return averages;
}

TEST(EmulatedOptimizer, AveragesEqualTheCpu) {
  for (int shift : {0, 1}) {
    const std::vector<float> want = averaged(core::DeviceKind::kCpu, shift, 1);
    EXPECT_NE(want, draw(8, shift + kElements + 4));
    for (const emulator::Schedule schedule : all_schedules()) {
      emulator::set_schedule(schedule);
      EXPECT_EQ(averaged(core::DeviceKind::kCuda, shift, 1), want) << shift;
    }
    EXPECT_EQ(averaged(core::DeviceKind::kCuda, shift, 0), draw(8, shift + kElements + 4));
  }
}

double norm_of(const std::vector<float>& gradients, bool accumulate) {
  const auto kernel =
      core::make_norm_kernel(core::DeviceKind::kCuda, static_cast<int64_t>(gradients.size()), {});
  double sum = accumulate ? 1000.0 : std::numeric_limits<double>::quiet_NaN();
  kernel->run(gradients.data(), &sum, accumulate, emulator_stream());
  return sum;
}

TEST(EmulatedOptimizer, NormAgreesWithALoop) {
  for (int64_t count : {1, 3, 4096, 4097, 9001, 40'000}) {
    const std::vector<float> gradients = draw(5, count);
    double want = 0;
    for (float g : gradients) want += static_cast<double>(g) * g;
    emulator::set_schedule({});
    const double got = norm_of(gradients, false);
    EXPECT_NEAR(got, want, 1e-12 * want) << count;
    EXPECT_NEAR(norm_of(gradients, true), 1000 + want, 1e-12 * (1000 + want));
    for (const emulator::Schedule schedule : all_schedules()) {
      emulator::set_schedule(schedule);
      EXPECT_EQ(norm_of(gradients, false), got);
    }
  }
}

StepState controlled(core::DeviceKind device, const core::ControlOptions& options,
                     std::vector<double> control, double sum_of_squares) {
  StepState step{.first_sample = 77, .attempted_steps = 5, .applied_steps = 3};
  const auto kernel = core::make_control_kernel(device, options, {.threads = 1});
  kernel->run(control.data(), &sum_of_squares, &step, {.handle = nullptr, .device = device});
  return step;
}

TEST(EmulatedOptimizer, ControlEqualsTheCpu) {
  const core::ControlOptions options{.schedule = {.kind = core::ScheduleKind::kCosine,
                                                  .base_lr = 0.01f,
                                                  .warmup_steps = 2,
                                                  .total_steps = 10},
                                     .clip_norm = 3,
                                     .loss_count = 2,
                                     .nominal_count = 64,
                                     .loss_scale = 8,
                                     .beta1 = 0.9f,
                                     .beta2 = 0.999f};
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  const auto same = [&](std::vector<double> control, double squares, int apply) {
    const StepState want = controlled(core::DeviceKind::kCpu, options, control, squares);
    const StepState got = controlled(core::DeviceKind::kCuda, options, control, squares);
    EXPECT_EQ(got.apply, apply);
    EXPECT_EQ(got.applied_steps, 3 + apply);
    EXPECT_EQ(got.non_finite_steps, 1 - apply);
    EXPECT_EQ(got.first_sample, 77);
    for (auto member : {&StepState::grad_multiplier, &StepState::learning_rate,
                        &StepState::bias_correction1, &StepState::bias_correction2})
      EXPECT_EQ(std::memcmp(&(got.*member), &(want.*member), sizeof(float)), 0);
    EXPECT_EQ(want.apply, apply);
  };
  same({10, 57, 3, 57, 0}, 1e6, 1);
  same({10, 0, 3, 57, 0}, 1e6, 0);
  same({10, 57, kNan, 57, 0}, 1e6, 0);
  same({10, 57, 3, 57, 0}, kNan, 0);
}

}  // namespace
}  // namespace trireme::test

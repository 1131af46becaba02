// Norm, control and update kernels on a GPU against the CPU's, over three steps and a bad one.
#include "core/optim/optimizer.h"

#include <cmath>
#include <limits>

#include "tests/core/cuda/cuda_test.h"
#include "tests/support/op_check.h"

namespace trireme::test {
namespace {

using core::StepState;
using core::StreamRole;
using core::UpdateRange;

constexpr int64_t kElements = 20'000;  // five blocks of the norm, the last one short
constexpr double kNominal = 64;

// The optimizer on one device, fed from the host.
class Optimizer {
 public:
  Optimizer(core::Device& device, const core::OptimizerOptions& options,
            const core::ControlOptions& control, std::span<const UpdateRange> ranges)
      : device_(device),
        stream_(device.stream(StreamRole::kCompute)),
        norm_(make_norm_kernel(device.kind(), kElements, device.kernel_context())),
        control_(make_control_kernel(device.kind(), control, device.kernel_context())),
        update_(make_update_kernel(device.kind(), options, ranges, device.kernel_context())),
        average_(device.kind(), {.decay = 0.25f}, ranges, device.kernel_context()),
        moments_(core::moment_count(options)) {
    for (core::Buffer* buffer : {&parameters_, &gradients_, &moment1_, &moment2_, &averages_})
      *buffer = core::Buffer(device, kElements * 4);
    control_vector_ = core::Buffer(device, 3 * sizeof(double));
    sum_of_squares_ = core::Buffer(device, sizeof(double));
    step_ = core::Buffer(device, sizeof(StepState));
    const StepState first;
    device.copy_in(step_.data(), &first, sizeof first, stream_);
    device.synchronize(stream_);
  }

  void set_parameters(const std::vector<float>& values) { copy_in(parameters_, values); }

  // loss sum, its count, stop votes
  StepState step(const std::vector<float>& gradients, const std::vector<double>& control) {
    copy_in(gradients_, gradients);
    copy_in(control_vector_, control);
    norm_->run(at(gradients_), static_cast<double*>(sum_of_squares_.data()), false, stream_);
    control_->run(static_cast<double*>(control_vector_.data()),
                  static_cast<double*>(sum_of_squares_.data()),
                  static_cast<StepState*>(step_.data()), stream_);
    update_->run({.parameters = at(parameters_),
                  .gradients = at(gradients_),
                  .moment1 = moments_ > 0 ? at(moment1_) : nullptr,
                  .moment2 = moments_ > 1 ? at(moment2_) : nullptr,
                  .step = static_cast<StepState*>(step_.data()),
                  .stream = stream_});
    average_.run(at(parameters_), at(averages_), static_cast<StepState*>(step_.data()), stream_);
    return copy_out<StepState>(step_, 1).front();
  }

  // Parameters, then both moments, then averages.
  std::vector<std::vector<float>> state() {
    return {copy_out<float>(parameters_, kElements), copy_out<float>(moment1_, kElements),
            copy_out<float>(moment2_, kElements), copy_out<float>(averages_, kElements)};
  }

 private:
  static float* at(const core::Buffer& buffer) { return static_cast<float*>(buffer.data()); }

  template <typename T>
  void copy_in(core::Buffer& buffer, const std::vector<T>& values) {
    device_.copy_in(buffer.data(), values.data(), static_cast<int64_t>(values.size() * sizeof(T)),
                    stream_);
    device_.synchronize(stream_);
  }
  template <typename T>
  std::vector<T> copy_out(const core::Buffer& buffer, int64_t count) {
    std::vector<T> values(count);
    device_.copy_out(values.data(), buffer.data(), count * static_cast<int64_t>(sizeof(T)),
                     stream_);
    device_.synchronize(stream_);
    return values;
  }

  core::Device& device_;
  core::Stream stream_;
  std::unique_ptr<core::NormKernel> norm_;
  std::unique_ptr<core::ControlKernel> control_;
  std::unique_ptr<core::UpdateKernel> update_;
  core::AverageKernel average_;
  int moments_;
  core::Buffer parameters_, gradients_, moment1_, moment2_, averages_;
  core::Buffer control_vector_, sum_of_squares_, step_;
};

std::vector<float> draw(uint64_t seed) {
  Random random(seed);
  const HostTensor tensor = random.normal({kElements});
  return {tensor.values.begin(), tensor.values.end()};
}

void expect_near(const std::vector<std::vector<float>>& got,
                 const std::vector<std::vector<float>>& want, const char* when) {
  const char* const names[] = {"parameters", "first moment", "second moment", "average"};
  for (size_t i = 0; i < want.size(); ++i) {
    const auto text =
        difference({got[i].begin(), got[i].end()}, {want[i].begin(), want[i].end()}, 2e-6);
    EXPECT_EQ(text, "") << names[i] << " " << when;
  }
}

void expect_same_step(const StepState& got, const StepState& want) {
  EXPECT_EQ(got.apply, want.apply);
  EXPECT_EQ(got.applied_steps, want.applied_steps);
  EXPECT_EQ(got.non_finite_steps, want.non_finite_steps);
  EXPECT_FLOAT_EQ(got.learning_rate, want.learning_rate);
  EXPECT_FLOAT_EQ(got.grad_multiplier, want.grad_multiplier);
  EXPECT_FLOAT_EQ(got.bias_correction1, want.bias_correction1);
  EXPECT_FLOAT_EQ(got.bias_correction2, want.bias_correction2);
  if (std::isfinite(want.grad_norm)) {
    EXPECT_NEAR(got.grad_norm, want.grad_norm, 1e-9 * want.grad_norm);
  }
}

class CudaOptimizer : public CudaTest {
 protected:
  void compare(const core::OptimizerOptions& options, float beta1, float beta2) {
    // Neighbours with other decays and rates, a gap, and ends that no vector width divides.
    const std::vector<UpdateRange> ranges = {
        {0, 1003, 0.1f, 1}, {1003, 4099, 0, 0.5f}, {5000, 5001, 0, 1}, {5120, kElements, 0.01f, 2}};
    const core::ControlOptions control{.schedule = {.kind = core::ScheduleKind::kCosine,
                                                    .base_lr = 0.01f,
                                                    .warmup_steps = 2,
                                                    .total_steps = 10},
                                       .clip_norm = 3,
                                       .nominal_count = kNominal,
                                       .loss_scale = 8,
                                       .beta1 = beta1,
                                       .beta2 = beta2};
    const auto cpu = core::make_cpu_device(1);
    Optimizer want(*cpu, options, control, ranges), got(device(), options, control, ranges);
    want.set_parameters(draw(1));
    got.set_parameters(draw(1));
    for (uint64_t step = 0; step < 3; ++step) {
      const std::vector<double> sums = {10.0 + static_cast<double>(step), kNominal - 7, 0};
      expect_same_step(got.step(draw(10 + step), sums), want.step(draw(10 + step), sums));
      expect_near(got.state(), want.state(), "after an applied step");
    }
    skips_a_bad_step(got, want);
  }

  void skips_a_bad_step(Optimizer& got, Optimizer& want) {
    const auto before = got.state();
    std::vector<float> bad = draw(20);
    bad[12'345] = std::numeric_limits<float>::quiet_NaN();
    const std::vector<double> sums = {10, kNominal, 0};
    const StepState after = got.step(bad, sums);
    expect_same_step(after, want.step(bad, sums));
    EXPECT_EQ(after.apply, 0);
    EXPECT_EQ(got.state(), before) << "a step that is not applied must not change a bit";
  }
};

TEST_F(CudaOptimizer, Sgd) { compare(core::SgdOptions{}, 0, 0); }
TEST_F(CudaOptimizer, Momentum) { compare(core::SgdOptions{.momentum = 0.9f}, 0, 0); }
TEST_F(CudaOptimizer, Nesterov) {
  compare(core::SgdOptions{.momentum = 0.9f, .nesterov = true}, 0, 0);
}
TEST_F(CudaOptimizer, Adam) { compare(core::AdamOptions{.decoupled = false}, 0.9f, 0.999f); }
TEST_F(CudaOptimizer, AdamW) { compare(core::AdamOptions{}, 0.9f, 0.999f); }

}  // namespace
}  // namespace trireme::test

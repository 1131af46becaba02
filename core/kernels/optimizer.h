// One element's update, and the step's control decision, for host and device.
//
// The formulas are PyTorch's, operation by operation: torch.optim.SGD (dampening 0), Adam, AdamW.
// Sources: see core/optim/optimizer.h.
#pragma once

#include <cmath>

#include "core/base/host_device.h"
#include "core/optim/optimizer.h"
#include "core/optim/schedule.h"
#include "core/runtime/step_state.h"

namespace trireme::core {

// What the elements of one range share in one step.
struct SgdRule {
  float multiplier;  // of the summed gradient
  float lr;          // times the range's lr_scale
  float weight_decay;
  float momentum;
};

TRIREME_HOST_DEVICE SgdRule make_sgd_rule(const SgdOptions& options, const UpdateRange& range,
                                          const StepState& step) {
  return {step.grad_multiplier, step.learning_rate * range.lr_scale, range.weight_decay,
          options.momentum};
}

// Without momentum.
TRIREME_HOST_DEVICE float sgd_element(const SgdRule& rule, float p, float gradient) {
  const float g = gradient * rule.multiplier + rule.weight_decay * p;
  return p - rule.lr * g;
}

// With momentum; `m` is updated in place. The zero it starts from makes the first m equal to g.
TRIREME_HOST_DEVICE float sgd_momentum_element(const SgdRule& rule, bool nesterov, float p,
                                               float gradient, float& m) {
  const float g = gradient * rule.multiplier + rule.weight_decay * p;
  m = rule.momentum * m + g;
  return p - rule.lr * (nesterov ? g + rule.momentum * m : m);
}

struct AdamRule {
  float multiplier;        // of the summed gradient
  float keep;              // AdamW: p is first multiplied by 1 - lr weight_decay; Adam: 1
  float weight_decay;      // Adam: added to g times p; AdamW: 0
  float step_size;         // lr / (1 - beta1^t)
  float sqrt_correction2;  // sqrt(1 - beta2^t)
  float one_minus_beta1;
  float beta2, one_minus_beta2;
  float epsilon;
};

TRIREME_HOST_DEVICE AdamRule make_adam_rule(const AdamOptions& options, const UpdateRange& range,
                                            const StepState& step) {
  const float lr = step.learning_rate * range.lr_scale;
  AdamRule rule;
  rule.multiplier = step.grad_multiplier;
  rule.keep = options.decoupled ? 1.0f - lr * range.weight_decay : 1.0f;
  rule.weight_decay = options.decoupled ? 0.0f : range.weight_decay;
  rule.step_size = lr / step.bias_correction1;
  rule.sqrt_correction2 = sqrtf(step.bias_correction2);
  rule.one_minus_beta1 = 1.0f - options.beta1;
  rule.beta2 = options.beta2;
  rule.one_minus_beta2 = 1.0f - options.beta2;
  rule.epsilon = options.epsilon;
  return rule;
}

// `m` and `v` are updated in place.
TRIREME_HOST_DEVICE float adam_element(const AdamRule& rule, float p, float gradient, float& m,
                                       float& v) {
  const float kept = p * rule.keep;
  const float g = gradient * rule.multiplier + rule.weight_decay * kept;
  m = m + rule.one_minus_beta1 * (g - m);
  v = rule.beta2 * v + rule.one_minus_beta2 * g * g;
  const float denominator = sqrtf(v) / rule.sqrt_correction2 + rule.epsilon;
  return kept - rule.step_size * (m / denominator);
}

// Of the newest parameters in their average: see AverageOptions. `step` counts this update.
TRIREME_HOST_DEVICE float average_weight(const AverageOptions& options, const StepState& step) {
  const float newest = 9.0f / (static_cast<float>(step.applied_steps) + 8.0f);
  return newest > 1.0f - options.decay ? newest : 1.0f - options.decay;
}

// An average that is 0 becomes `p` itself with weight 1.
TRIREME_HOST_DEVICE float average_element(float weight, float average, float p) {
  return average + weight * (p - average);
}

// The gradient's norm is summed in blocks of this many elements.
constexpr int64_t kNormBlock = 4096;

TRIREME_HOST_DEVICE bool is_finite(double x) { return x - x == 0; }

TRIREME_HOST_DEVICE void set_loss_scale(float scale, int good_steps, StepState* step) {
  step->loss_scale = scale;
  step->inverse_loss_scale = 1.0f / scale;
  step->good_steps = good_steps;
}

// After a step that was applied, or was not finite.
TRIREME_HOST_DEVICE void update_loss_scale(const LossScaling& scaling, bool applied,
                                           StepState* step) {
  const float scale = step->loss_scale;
  if (!applied)
    set_loss_scale(scale > 1 ? scale / 2 : 1.0f, 0, step);
  else if (step->good_steps + 1 < scaling.growth_steps)
    ++step->good_steps;
  else
    set_loss_scale(scale < kMostLossScale ? scale * 2 : scale, 0, step);
}

// Writes the control kernel's part of `step`: see ControlOptions for `control`'s layout.
//
//   multiplier       nominal_count / control[1] / loss_scale
//   grad_norm        sqrt(sum_of_squares) multiplier
//   grad_multiplier  multiplier min(1, clip_norm / (grad_norm + 1e-6))
//   apply            norm and all loss sums finite, control[1] > 0
//   learning_rate    of update number applied_steps, before it counts this one
//   bias_correction  1 - beta^t, t = applied_steps after it counts this one
//   loss_scale       of the next step, where there is one and this step had samples
//
// Source of the clip factor: torch.nn.utils.clip_grad_norm_.
TRIREME_HOST_DEVICE void control_step(const ControlOptions& options, const double* control,
                                      double sum_of_squares, StepState* step) {
  const double count = control[1];
  const double multiplier =
      count > 0 ? options.nominal_count / count / static_cast<double>(options.loss_scale) : 0.0;
  const double norm = sqrt(sum_of_squares) * multiplier;
  bool apply = count > 0 && is_finite(count) && is_finite(norm);
  for (int i = 0; i < options.loss_count; ++i) apply = apply && is_finite(control[2 * i]);

  double clip = 1;
  if (options.clip_norm > 0 && norm > 0)
    clip = static_cast<double>(options.clip_norm) / (norm + 1e-6);
  step->grad_norm = norm;
  step->grad_multiplier = static_cast<float>(multiplier * (clip < 1 ? clip : 1.0));
  step->learning_rate = learning_rate(options.schedule, step->applied_steps);
  const double t = static_cast<double>(step->applied_steps + 1);
  step->bias_correction1 = static_cast<float>(1 - pow(static_cast<double>(options.beta1), t));
  step->bias_correction2 = static_cast<float>(1 - pow(static_cast<double>(options.beta2), t));
  step->apply = apply ? 1 : 0;
  if (apply)
    ++step->applied_steps;
  else
    ++step->non_finite_steps;
  if (options.scaling.initial > 0 && count > 0) update_loss_scale(options.scaling, apply, step);
}

}  // namespace trireme::core

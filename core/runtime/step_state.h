// What changes from step to step, in one small block that kernels read on the device.
#pragma once

#include <cstdint>

namespace trireme::core {

// Lies in device memory. The host writes the first part before a step; the step's own control
// kernel writes the second part from the all-reduced control vector and the gradients' norm.
struct StepState {
  // Written by the host.
  int64_t first_sample = 0;     // run-wide number of the step's first sample
  int64_t attempted_steps = 0;  // before this step: drives data and random numbers

  // Written by the control kernel.
  int64_t applied_steps = 0;  // updates so far: drives the schedule and Adam's bias correction
  double grad_norm = 0;       // of the mean gradient, before clipping
  float grad_multiplier = 0;  // what the update multiplies summed gradients with
  float learning_rate = 0;
  float bias_correction1 = 1;  // 1 - beta1^t, 1 - beta2^t
  float bias_correction2 = 1;
  int32_t apply = 0;             // 0: the update leaves weights, moments and state untouched
  int32_t non_finite_steps = 0;  // attempted steps that were not applied

  // Of f16 products: gradients are multiplied by loss_scale, a power of two, before they are
  // rounded; see LossScaling.
  float loss_scale = 1;
  float inverse_loss_scale = 1;
  int32_t good_steps = 0;  // applied since the scale changed
};

}  // namespace trireme::core

// Updates of flat parameter buffers: one pass over a table of ranges, predicated on the device.
//
// A step ends with kernels over flat f32 buffers:
//   1. gradient_norm   sum of squares of the gradients, in fixed 4,096-element blocks, in double
//   2. step_control    reads the all-reduced control vector and that sum; writes StepState:
//                      learning rate, multiplier (nominal / count / loss scale x clip), apply
//   3. update          parameters and moments, if StepState::apply
//   4. average         the parameters' moving average, likewise, where a run keeps one
//
// Sources: Sutskever et al., On the importance of initialization and momentum (2013), for Nesterov
// in PyTorch's form; Kingma and Ba, Adam (2015); Loshchilov and Hutter, AdamW (2019).
#pragma once

#include <memory>
#include <span>
#include <variant>
#include <vector>

#include "core/base/element_range.h"
#include "core/graph/op.h"
#include "core/optim/schedule.h"
#include "core/runtime/step_state.h"

namespace trireme::core {

struct SgdOptions {
  float momentum = 0;      // m = momentum m + g; p -= lr m   (PyTorch's form, no dampening)
  bool nesterov = false;   // p -= lr (g + momentum m)
  float weight_decay = 0;  // g += weight_decay p

  bool operator==(const SgdOptions&) const = default;
};

struct AdamOptions {
  float beta1 = 0.9f, beta2 = 0.999f, epsilon = 1e-8f;
  float weight_decay = 0;
  bool decoupled = true;  // AdamW: p -= lr weight_decay p; else g += weight_decay p

  bool operator==(const AdamOptions&) const = default;
};

using OptimizerOptions = std::variant<SgdOptions, AdamOptions>;

// Moment buffers per parameter element: 0 (plain SGD), 1 (momentum) or 2 (Adam).
int moment_count(const OptimizerOptions& options);
// The weight decay that parameters get unless their group says otherwise.
float weight_decay(const OptimizerOptions& options);

// Elements [begin, end) of the parameter buffer that are updated alike. The shifts are added to
// their offsets where gradients or moments lie in a buffer of another layout.
struct UpdateRange {
  int64_t begin = 0, end = 0;
  float weight_decay = 0;
  float lr_scale = 1;
  int64_t gradient_shift = 0;  // elements, a multiple of kElementAlignment
  int64_t moment_shift = 0;
};

struct UpdateArgs {
  float* parameters = nullptr;
  const float* gradients = nullptr;
  float* moment1 = nullptr;  // null where moment_count says so
  float* moment2 = nullptr;
  const StepState* step = nullptr;  // on the device
  Stream stream;
};

class UpdateKernel {
 public:
  virtual ~UpdateKernel() = default;
  virtual void run(const UpdateArgs& args) = 0;
};

// Sums of squares of gradients[begin, end) over the ranges, in double, in blocks that do not
// depend on threads or layout; written to *sum_of_squares (on the device), replaced or added to.
class NormKernel {
 public:
  virtual ~NormKernel() = default;
  virtual void run(const float* gradients, double* sum_of_squares, bool accumulate,
                   Stream stream) = 0;
};

// How the scale of f16 gradients follows what it meets: halved when a step is not finite, doubled
// after `growth_steps` applied ones in a row, within [1, kMostLossScale].
//
// Source: Micikevicius et al., Mixed Precision Training (2018), section 3.2, with the constants of
// torch.amp.GradScaler.
struct LossScaling {
  float initial = 0;  // a power of two; 0: no scaling
  int32_t growth_steps = 2000;
};
constexpr float kMostLossScale = 0x1p24f;

// The same sum of squares as an exact one (core/optim/exact_sum.h): of units of kNormUnit elements
// from each range's start, each added in double. So it is the same whatever ranks and ranges the
// elements fall to, if only the ranges start at multiples of kNormUnit in every parameter. CPU.
constexpr int64_t kNormUnit = 128;
class ExactNormKernel {
 public:
  ExactNormKernel(std::span<const ElementRange> ranges, const KernelContext& context);
  void run(const float* gradients, int64_t* sum) const;

 private:
  std::vector<ElementRange> ranges_;
  int threads_;
};

// The control vector: f64, laid out
//   [loss0 sum, loss0 weight, loss1 sum, ..., metric0 sum, metric0 weight, ..., votes].
struct ControlOptions {
  Schedule schedule;
  float clip_norm = 0;         // 0: no clipping
  int loss_count = 1;          // losses at the head of the control vector, all to be finite
  double nominal_count = 1;    // of loss 0: what backward was seeded with
  float loss_scale = 1;        // that backward was seeded with, for good
  LossScaling scaling;         // of f16 operands, by itself
  float beta1 = 0, beta2 = 0;  // of Adam; 0 otherwise
};

// A moving average of the parameters, in f32. After update number t = 1, 2, ... the newest count
// with weight max(1 - decay, 9 / (t + 8)): the average starts as the parameters after the first
// update, reaches back over about a ninth of the updates so far, and over 1 / (1 - decay) updates
// at most. That is the rule of TensorFlow's ExponentialMovingAverage with num_updates = t - 2.
struct AverageOptions {
  float decay = 0.999f;  // in [0, 1)

  bool operator==(const AverageOptions&) const = default;
};

// Averages lie as moments do: `ranges` are those of the update.
class AverageKernel {
 public:
  AverageKernel(DeviceKind device, const AverageOptions& options,
                std::span<const UpdateRange> ranges, const KernelContext& context);
  // After the update. Leaves the averages as they are unless step->apply.
  void run(const float* parameters, float* averages, const StepState* step, Stream stream) const;

 private:
  std::unique_ptr<UpdateKernel> update_;  // of the averages, by the parameters
};

// Writes StepState from control[1] (the exact count of loss 0) and the sum of squares. A count of
// 0, or a non-finite norm or loss: apply = 0.
class ControlKernel {
 public:
  virtual ~ControlKernel() = default;
  virtual void run(const double* control, const double* sum_of_squares, StepState* step,
                   Stream stream) = 0;
};

std::unique_ptr<UpdateKernel> make_update_kernel(DeviceKind device, const OptimizerOptions& options,
                                                 std::span<const UpdateRange> ranges,
                                                 const KernelContext& context);
std::unique_ptr<NormKernel> make_norm_kernel(DeviceKind device, int64_t elements,
                                             const KernelContext& context);
// Over several ranges of the buffer, one after the other; none: the sum is 0.
std::unique_ptr<NormKernel> make_norm_kernel(DeviceKind device,
                                             std::span<const ElementRange> ranges,
                                             const KernelContext& context);
std::unique_ptr<ControlKernel> make_control_kernel(DeviceKind device, const ControlOptions& options,
                                                   const KernelContext& context);

}  // namespace trireme::core

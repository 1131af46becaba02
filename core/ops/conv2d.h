// Two-dimensional convolution (cross-correlation) of NHWC images, with bias and activation fused.
//
//   x  (N, H, W, C), f32
//   W  (O, KH, KW, C / groups), f32
//   b  (O), f32, optional
//   y  (N, OH, OW, O),  OH = (H + 2 pad_h - dilation_h (KH - 1) - 1) / stride_h + 1
//   z  (N, OH, OW, O), the pre-activation; a second output only where f's derivative needs it
//
// Throws InvalidArgument if the window does not fit, or channels do not divide by groups.
#pragma once

#include "core/base/activation_kind.h"
#include "core/graph/op.h"

namespace trireme::core {

struct Conv2dOptions {
  int64_t stride_h = 1, stride_w = 1;
  int64_t pad_h = 0, pad_w = 0;
  int64_t dilation_h = 1, dilation_w = 1;
  int64_t groups = 1;
  ActivationKind activation = ActivationKind::kNone;

  bool operator==(const Conv2dOptions&) const = default;
};

class Conv2d : public Op {
 public:
  explicit Conv2d(Conv2dOptions options) : options_(options) {}
  const Conv2dOptions& options() const { return options_; }

  std::string_view type() const override { return "conv2d"; }
  std::vector<ValueType> infer(std::span<const ValueType> inputs) const override;
  void gradient(GradientBuilder& builder) const override;
  Cost cost(const NodeTypes& types) const override;
  int64_t workspace_cap(const NodeTypes&, DeviceKind) const override;
  int64_t prepared_cap(const NodeTypes&, DeviceKind) const override;
  std::unique_ptr<Kernel> cpu_kernel(const NodeTypes&, const KernelContext&) const override;
  std::unique_ptr<Kernel> cuda_kernel(const NodeTypes&, const KernelContext&) const override;

 private:
  Conv2dOptions options_;
};

// dz (N, OH, OW, O), W (O, KH, KW, C / groups)   ->   dx of the given shape (N, H, W, C)
class Conv2dGradInput : public Op {
 public:
  Conv2dGradInput(Conv2dOptions options, Shape x) : options_(options), x_(x) {}

  std::string_view type() const override { return "conv2d_grad_input"; }
  std::vector<ValueType> infer(std::span<const ValueType> inputs) const override;
  Cost cost(const NodeTypes& types) const override;
  int64_t workspace_cap(const NodeTypes&, DeviceKind) const override;
  int64_t prepared_cap(const NodeTypes&, DeviceKind) const override;
  std::unique_ptr<Kernel> cpu_kernel(const NodeTypes&, const KernelContext&) const override;
  std::unique_ptr<Kernel> cuda_kernel(const NodeTypes&, const KernelContext&) const override;

 private:
  Conv2dOptions options_;
  Shape x_;
};

// dz (N, OH, OW, O), x (N, H, W, C)   ->   dW of the given shape and, with a bias, db (O);
// both accumulate
class Conv2dGradWeight : public Op {
 public:
  Conv2dGradWeight(Conv2dOptions options, Shape weight, bool has_bias)
      : options_(options), weight_(weight), has_bias_(has_bias) {}

  std::string_view type() const override { return "conv2d_grad_weight"; }
  std::vector<ValueType> infer(std::span<const ValueType> inputs) const override;
  Cost cost(const NodeTypes& types) const override;
  int64_t workspace_cap(const NodeTypes&, DeviceKind) const override;
  bool accumulates() const override { return true; }
  std::unique_ptr<Kernel> cpu_kernel(const NodeTypes&, const KernelContext&) const override;
  std::unique_ptr<Kernel> cuda_kernel(const NodeTypes&, const KernelContext&) const override;

 private:
  Conv2dOptions options_;
  Shape weight_;
  bool has_bias_;
};

}  // namespace trireme::core

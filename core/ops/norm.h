// Layer norm and RMS norm over the last axis, with the residual addition before it fused.
//
//   s = x + residual
//   layer  y = (s - mean(s)) / sqrt(var(s) + epsilon) * weight + bias
//   rms    y = s / sqrt(mean(s^2) + epsilon) * weight + bias
//
//   x           (..., H), f32
//   weight      (H), f32
//   bias        (H), f32, optional
//   residual    (..., H), f32, optional: x's shape
//   y           (..., H), f32; may take over x's memory
//   statistics  f32, kept for backward: (..., 2) of mean and 1 / sqrt(...) for layer norm, (..., 1)
//               of the latter alone for RMS norm
//   s           (..., H), f32: a third output where a residual is given, else s is x. It is the
//               residual of the next norm of the stream
//
// var is the mean of squared differences (no Bessel's correction). The residual stream needs no
// node of its own in backward: the gradient that flows into s from later is an operand of NormGrad.
//
// Throws InvalidArgument if shapes differ, H is 0 or epsilon is not positive.
// Source: Ba et al., Layer Normalization (2016); Zhang and Sennrich, Root Mean Square Layer
// Normalization (2019).
#pragma once

#include "core/graph/op.h"

namespace trireme::core {

struct NormOptions {
  enum Kind : uint8_t { kLayer, kRms };
  Kind kind = kLayer;
  float epsilon = 1e-5f;

  bool operator==(const NormOptions&) const = default;
};

class Norm : public Op {
 public:
  explicit Norm(NormOptions options) : options_(options) {}
  const NormOptions& options() const { return options_; }

  std::string_view type() const override {
    return options_.kind == NormOptions::kLayer ? "layer_norm" : "rms_norm";
  }
  std::vector<ValueType> infer(std::span<const ValueType> inputs) const override;
  void gradient(GradientBuilder& builder) const override;
  std::vector<ShardingRule> shardings(const ShardingRequest& request) const override;
  Cost cost(const NodeTypes& types) const override;
  int may_overwrite() const override { return 0; }
  std::unique_ptr<Kernel> cpu_kernel(const NodeTypes&, const KernelContext&) const override;
  std::unique_ptr<Kernel> cuda_kernel(const NodeTypes&, const KernelContext&) const override;

 private:
  NormOptions options_;
};

// ds = r (g - mean(g) - n mean(g n)) + later, with n = (s - mean) r, g = dy weight, r the second
// of the statistics; for RMS norm without the means of s and g.
//
//   dy (..., H), s (..., H), weight (H), statistics (..., 2 or 1), later (..., H), optional
//   ->   ds (..., H), the gradient of x and of the residual; may take over the memory of `later`,
//        or of dy where there is none
class NormGrad : public Op {
 public:
  NormGrad(NormOptions options, bool has_later) : options_(options), has_later_(has_later) {}

  std::string_view type() const override { return "norm_grad"; }
  std::vector<ValueType> infer(std::span<const ValueType> inputs) const override;
  Cost cost(const NodeTypes& types) const override;
  int may_overwrite() const override { return has_later_ ? 4 : 0; }
  std::unique_ptr<Kernel> cpu_kernel(const NodeTypes&, const KernelContext&) const override;
  std::unique_ptr<Kernel> cuda_kernel(const NodeTypes&, const KernelContext&) const override;

 private:
  NormOptions options_;
  bool has_later_;
};

// dweight = sum over rows of dy n, dbias = sum over rows of dy.
//
//   dy (..., H), s (..., H), statistics (..., 2 or 1)   ->   dweight (H) and, with a bias,
//   dbias (H); both accumulate
class NormGradWeight : public Op {
 public:
  NormGradWeight(NormOptions options, bool has_bias) : options_(options), has_bias_(has_bias) {}

  std::string_view type() const override { return "norm_grad_weight"; }
  std::vector<ValueType> infer(std::span<const ValueType> inputs) const override;
  Cost cost(const NodeTypes& types) const override;
  int64_t workspace_cap(const NodeTypes&, DeviceKind) const override;
  bool accumulates() const override { return true; }
  std::unique_ptr<Kernel> cpu_kernel(const NodeTypes&, const KernelContext&) const override;
  std::unique_ptr<Kernel> cuda_kernel(const NodeTypes&, const KernelContext&) const override;

 private:
  NormOptions options_;
  bool has_bias_;
};

}  // namespace trireme::core

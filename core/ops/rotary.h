// Rotary position embedding of the leading heads; the others are copied.
//
// In each rotated head, elements i and i + D/2 turn together by the angle of their position:
//   y[i]       = x[i] cos a - x[i + D/2] sin a
//   y[i + D/2] = x[i + D/2] cos a + x[i] sin a,   a = p theta^(-2 i / D),  p = positions[b] + s
// The angle is rounded to f32, as are theta's powers: so do the models that were trained with it.
// Cosines are computed on the way, once a row for all heads; there is no table of positions.
//
//   x          (B, S, total_heads D), f32: of queries, keys and values side by side, `heads` are
//              the first two
//   positions  (B), i32, optional: where each sample begins; 0 without it
//   y          x's type; may take over x's memory
//
// Throws InvalidArgument if D is odd, shapes differ, `heads` exceeds total_heads, or theta < 1.
// Source: Su et al., RoFormer (2021), section 3.4; the pairing of i with i + D/2 is that of Hugging
// Face's Llama.
#pragma once

#include "core/graph/op.h"

namespace trireme::core {

struct RotaryOptions {
  int64_t heads = 1;  // those that are rotated, leading
  int64_t total_heads = 1;
  int64_t head_dim = 2;
  float theta = 10000;

  bool operator==(const RotaryOptions&) const = default;
};

class Rotary : public Op {
 public:
  // `inverse` turns by -a: the gradient.
  explicit Rotary(RotaryOptions options, bool inverse = false)
      : options_(options), inverse_(inverse) {}
  const RotaryOptions& options() const { return options_; }

  std::string_view type() const override { return "rotary"; }
  std::vector<ValueType> infer(std::span<const ValueType> inputs) const override;
  void gradient(GradientBuilder& builder) const override;
  std::vector<ShardingRule> shardings(const ShardingRequest& request) const override;
  OpPtr local(const LocalBuilder& builder) const override;
  Cost cost(const NodeTypes& types) const override;
  int may_overwrite() const override { return 0; }
  std::unique_ptr<Kernel> cpu_kernel(const NodeTypes&, const KernelContext&) const override;
  std::unique_ptr<Kernel> cuda_kernel(const NodeTypes&, const KernelContext&) const override;

 private:
  RotaryOptions options_;
  bool inverse_;
};

}  // namespace trireme::core

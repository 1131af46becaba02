// y[b, i] = x[b, i] * keep(b, i) / (1 - p), keep drawn anew each step and never stored.
//
// keep(b, i) is a function of (job seed, `stream` name, run-wide sample number, i): the bits do not
// depend on the layout, and backward draws the same mask again by applying the same op to dy.
// The Philox counter is (sample number, i / 4); lane i % 4 keeps the element if its 32 bits as a
// fraction of 2^32 are at least p.
//
// Source: Srivastava et al., Dropout (2014), in its inverted form.
#pragma once

#include <string>

#include "core/graph/op.h"

namespace trireme::core {

//   x  (B, ...), f32   ->   y  (B, ...), f32; may take over x's memory
// Throws InvalidArgument unless 0 <= p < 1. `stream` names the random stream: the node's name.
class Dropout : public Op {
 public:
  Dropout(float probability, std::string stream);

  std::string_view type() const override { return "dropout"; }
  std::vector<ValueType> infer(std::span<const ValueType> inputs) const override;
  void gradient(GradientBuilder& builder) const override;
  Cost cost(const NodeTypes& types) const override;
  int may_overwrite() const override { return 0; }
  std::unique_ptr<Kernel> cpu_kernel(const NodeTypes&, const KernelContext&) const override;
  std::unique_ptr<Kernel> cuda_kernel(const NodeTypes&, const KernelContext&) const override;

 private:
  float probability_;
  std::string stream_;
};

}  // namespace trireme::core

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

// The place of x in a larger tensor of which it is a rank's part, so that every cut draws the same
// mask: rows are all dimensions but the last.
struct DropoutBox {
  int64_t first_row = 0;
  int64_t rows_per_sample = 1;
  int64_t width = 0;  // of the larger tensor's rows; 0: x is no part, a row is a whole sample
  int64_t first_column = 0;
};

//   x  (B, ...), f32   ->   y  (B, ...), f32; may take over x's memory
// Throws InvalidArgument unless 0 <= p < 1. `stream` names the random stream: the node's name.
class Dropout : public Op {
 public:
  Dropout(float probability, std::string stream, DropoutBox box = {});

  std::string_view type() const override { return "dropout"; }
  std::vector<ShardingRule> shardings(const ShardingRequest& request) const override;
  OpPtr local(const LocalBuilder& builder) const override;
  std::vector<ValueType> infer(std::span<const ValueType> inputs) const override;
  void gradient(GradientBuilder& builder) const override;
  Cost cost(const NodeTypes& types) const override;
  int may_overwrite() const override { return 0; }
  std::unique_ptr<Kernel> cpu_kernel(const NodeTypes&, const KernelContext&) const override;
  std::unique_ptr<Kernel> cuda_kernel(const NodeTypes&, const KernelContext&) const override;

 private:
  float probability_;
  std::string stream_;
  DropoutBox box_;
};

// Where row r of a dropout's operand lies among the draws: elements [element, element + columns) of
// sample `sample` of the micro-batch.
struct DropoutRows {
  DropoutRows(const Shape& x, const DropoutBox& box);
  int64_t rows, columns;
  DropoutBox box;
};

}  // namespace trireme::core

// Softmax cross-entropy and accuracy of logits whose classes are cut over the ranks of the tensor
// axis: the logits are never gathered.
//
// Each rank sums up its own classes of every row; the few numbers a row are gathered; every rank
// then computes the same result. See core/ops/softmax_cross_entropy.h for the loss itself.
//
// Source: Shoeybi et al., Megatron-LM (2019), section 3, the parallel cross-entropy.
#pragma once

#include "core/graph/op.h"
#include "core/ops/softmax_cross_entropy.h"

namespace trireme::core {

// The logits on one rank are of the classes [first, first + C) of `total`.
struct ClassSlice {
  int64_t first = 0;
  int64_t total = 0;
};

// What losses and metrics over classes do under tensor parallelism: logits are left cut if they
// are, by class and in one piece; everything else is whole.
std::vector<ShardingRule> class_shardings(const ShardingRequest& request);
// This rank's classes of input 0, which is split.
ClassSlice class_slice(const LocalBuilder& builder);
// All ranks' parts of a row: (rows..., n) -> (ranks, rows..., n).
ValueId gather_parts(LocalBuilder& builder, ValueId parts);

// What one rank knows of each row.
//
//   x (rows..., C), f32;  labels (rows...), i32
//   parts (rows..., 3), f32: log-sum-exp of its classes; the label's logit, or 0 where another rank
//         has it; the sum of its logits, or 0 without smoothing
//
// Nothing flows back through it: SplitCrossEntropy has the whole gradient.
class SoftmaxParts : public Op {
 public:
  SoftmaxParts(SoftmaxCrossEntropyOptions options, ClassSlice slice)
      : options_(options), slice_(slice) {}
  std::string_view type() const override { return "softmax_parts"; }
  std::vector<ValueType> infer(std::span<const ValueType> inputs) const override;
  bool passes_gradient() const override { return false; }
  Cost cost(const NodeTypes& types) const override;
  std::unique_ptr<Kernel> cpu_kernel(const NodeTypes&, const KernelContext&) const override;
  std::unique_ptr<Kernel> cuda_kernel(const NodeTypes&, const KernelContext&) const override;

 private:
  SoftmaxCrossEntropyOptions options_;
  ClassSlice slice_;
};

// The loss from all ranks' parts.
//
//   x       (rows..., C), f32; only the gradient looks at it
//   labels  (rows...), i32;  weight (B), f32, optional
//   parts   (ranks, rows..., 3), f32
//   sums    (2), f64;  lse (rows...), f32, over all classes: as SoftmaxCrossEntropy makes them
class SplitCrossEntropy : public Op {
 public:
  SplitCrossEntropy(SoftmaxCrossEntropyOptions options, ClassSlice slice)
      : options_(options), slice_(slice) {}
  std::string_view type() const override { return "split_cross_entropy"; }
  std::vector<ValueType> infer(std::span<const ValueType> inputs) const override;
  void gradient(GradientBuilder& builder) const override;
  Cost cost(const NodeTypes& types) const override;
  int64_t workspace_cap(const NodeTypes&, DeviceKind) const override;
  bool accumulates() const override { return true; }
  std::unique_ptr<Kernel> cpu_kernel(const NodeTypes&, const KernelContext&) const override;
  std::unique_ptr<Kernel> cuda_kernel(const NodeTypes&, const KernelContext&) const override;

 private:
  SoftmaxCrossEntropyOptions options_;
  ClassSlice slice_;
};

// dx[r, c] = seed w_r (softmax(x)[r, c] - q[r, first + c]);   x, labels, weight, lse  ->  dx, which
// may take over x's memory
class SplitCrossEntropyGrad : public Op {
 public:
  SplitCrossEntropyGrad(SoftmaxCrossEntropyOptions options, ClassSlice slice, float seed)
      : options_(options), slice_(slice), seed_(seed) {}
  std::string_view type() const override { return "split_cross_entropy_grad"; }
  std::vector<ValueType> infer(std::span<const ValueType> inputs) const override;
  Cost cost(const NodeTypes& types) const override;
  int may_overwrite() const override { return 0; }
  std::unique_ptr<Kernel> cpu_kernel(const NodeTypes&, const KernelContext&) const override;
  std::unique_ptr<Kernel> cuda_kernel(const NodeTypes&, const KernelContext&) const override;

 private:
  SoftmaxCrossEntropyOptions options_;
  ClassSlice slice_;
  float seed_;
};

// The largest logit that one rank has, and where.
//
//   x (rows..., C), f32  ->  parts (rows..., 2), f32: the logit, NaN if the row has one; its class
//   among all, the first of equals
// Throws InvalidArgument for more classes than f32 can number, 2^24.
class ArgmaxParts : public Op {
 public:
  explicit ArgmaxParts(ClassSlice slice) : slice_(slice) {}
  std::string_view type() const override { return "argmax_parts"; }
  std::vector<ValueType> infer(std::span<const ValueType> inputs) const override;
  bool passes_gradient() const override { return false; }
  Cost cost(const NodeTypes& types) const override;
  std::unique_ptr<Kernel> cpu_kernel(const NodeTypes&, const KernelContext&) const override;
  std::unique_ptr<Kernel> cuda_kernel(const NodeTypes&, const KernelContext&) const override;

 private:
  ClassSlice slice_;
};

// Accuracy from all ranks' parts: labels (rows...), weight (B) optional, parts (ranks, rows..., 2)
// ->  sums (2), f64, as core/ops/accuracy.h says.
class SplitAccuracy : public Op {
 public:
  SplitAccuracy(int32_t ignore_index, int64_t classes)
      : ignore_index_(ignore_index), classes_(classes) {}
  std::string_view type() const override { return "split_accuracy"; }
  std::vector<ValueType> infer(std::span<const ValueType> inputs) const override;
  Cost cost(const NodeTypes& types) const override;
  int64_t workspace_cap(const NodeTypes&, DeviceKind) const override;
  bool accumulates() const override { return true; }
  std::unique_ptr<Kernel> cpu_kernel(const NodeTypes&, const KernelContext&) const override;
  std::unique_ptr<Kernel> cuda_kernel(const NodeTypes&, const KernelContext&) const override;

 private:
  int32_t ignore_index_;
  int64_t classes_;
};

}  // namespace trireme::core

// Nodes that are collectives over the tensor axis, and their gradients, which are the conjugate
// collectives: all_reduce and the identity, all_gather and reduce_scatter.
//
// Shardings are those of core/graph/sharding.h. None runs a kernel: the executor hands operand
// addresses to the transport.
//
// Source: Shoeybi et al., Megatron-LM (2019), section 3 (f and g); Korthikanti et al., Reducing
// Activation Recomputation in Large Transformer Models (2022), section 4.2 (g and g bar by rows).
#pragma once

#include "core/graph/op.h"

namespace trireme::core {

class ExchangeOp : public Op {
 public:
  ExchangeOp(CollectiveKind kind, TensorPlace place)
      : place_(place), exchange_{kind, ReduceOp::kSum, place.group} {}

  const Exchange* exchange() const override { return &exchange_; }
  Cost cost(const NodeTypes& types) const override;
  std::unique_ptr<Kernel> cpu_kernel(const NodeTypes&, const KernelContext&) const override;
  std::unique_ptr<Kernel> cuda_kernel(const NodeTypes&, const KernelContext&) const override;

 protected:
  TensorPlace place_;

 private:
  Exchange exchange_;
};

// y = sum of x over the ranks.    x partial -> y whole; dx = dy, without communication.
//
//   x (...), f32 -> y (...); may take over x's memory
class AllReduce : public ExchangeOp {
 public:
  explicit AllReduce(TensorPlace place) : ExchangeOp(CollectiveKind::kAllReduce, place) {}
  std::string_view type() const override { return "all_reduce"; }
  std::vector<ValueType> infer(std::span<const ValueType> inputs) const override;
  void gradient(GradientBuilder& builder) const override;
  int may_overwrite() const override { return 0; }
};

// What flows back through an all_gather.
enum class GatherGradient : uint8_t {
  kPart,  // y is whole: this rank's block of dy
  kSum,   // y is shared: this rank's block of the sum of dy, a reduce_scatter
  kNothing
};

// y = the ranks' x one behind the other.    x by rows -> y whole or shared.
//
//   x (...), f32 -> y `shape`, of size x elements
// Throws InvalidArgument if the elements differ.
class AllGather : public ExchangeOp {
 public:
  AllGather(TensorPlace place, Shape shape, GatherGradient gradient)
      : ExchangeOp(CollectiveKind::kAllGather, place), shape_(shape), gradient_(gradient) {}
  std::string_view type() const override { return "all_gather"; }
  std::vector<ValueType> infer(std::span<const ValueType> inputs) const override;
  void gradient(GradientBuilder& builder) const override;
  bool passes_gradient() const override { return gradient_ != GatherGradient::kNothing; }

 private:
  Shape shape_;
  GatherGradient gradient_;
};

// y = this rank's block of the sum of x over the ranks.    x partial -> y by rows; dx = the ranks'
// dy one behind the other.
//
//   x (...), f32 -> y `shape`, of elements / size
class ReduceScatter : public ExchangeOp {
 public:
  ReduceScatter(TensorPlace place, Shape shape)
      : ExchangeOp(CollectiveKind::kReduceScatter, place), shape_(shape) {}
  std::string_view type() const override { return "reduce_scatter"; }
  std::vector<ValueType> infer(std::span<const ValueType> inputs) const override;
  void gradient(GradientBuilder& builder) const override;

 private:
  Shape shape_;
};

// y = x, a view.    x whole -> y shared; dx = sum of dy over the ranks.
class Share : public Op {
 public:
  explicit Share(TensorPlace place) : place_(place) {}
  std::string_view type() const override { return "share"; }
  std::vector<ValueType> infer(std::span<const ValueType> inputs) const override;
  void gradient(GradientBuilder& builder) const override;
  Cost cost(const NodeTypes&) const override { return {}; }
  int view_of() const override { return 0; }
  std::unique_ptr<Kernel> cpu_kernel(const NodeTypes&, const KernelContext&) const override;
  std::unique_ptr<Kernel> cuda_kernel(const NodeTypes&, const KernelContext&) const override;

 private:
  TensorPlace place_;
};

}  // namespace trireme::core

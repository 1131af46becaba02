// One rank's part of a tensor that is cut in one dimension, and the whole from all parts.
#pragma once

#include <vector>

#include "core/graph/op.h"

namespace trireme::core {

// A tensor as (outer, extent, inner) whose middle dimension is fused of `parts`, each of which is
// cut into `place.size` equal shares. A rank's part is (outer, extent / size, inner): its share of
// the first part, then that of the second, ...
struct PartsCut {
  static constexpr int kMaxParts = 4;

  // Throws InvalidArgument if a part does not divide or there are more than kMaxParts.
  PartsCut(int64_t outer, std::vector<int64_t> parts, int64_t inner, TensorPlace place);

  int64_t outer = 1, inner = 1;
  std::vector<int64_t> shares;  // of each part, on every rank
  TensorPlace place;

  int64_t local_extent() const;
  int64_t local_elements() const { return outer * local_extent() * inner; }
  int64_t elements() const { return local_elements() * place.size; }
};

// By `sharding`, which is by rows or split.
PartsCut parts_cut(const Shape& shape, const Sharding& sharding, const TensorPlace& place);
// Rank r's block is the r-th of `size` equal ones of the tensor as it lies in memory.
PartsCut blocks_cut(const Shape& shape, const TensorPlace& place);

// y = this rank's part of x, which is whole.    dx = all ranks' parts of dy.
//
//   x (outer, extent, inner), f32, in any shape -> y `shape`, (outer, extent / size, inner)
class TakePart : public Op {
 public:
  TakePart(PartsCut cut, Shape shape) : cut_(std::move(cut)), shape_(shape) {}
  std::string_view type() const override { return "take_part"; }
  std::vector<ValueType> infer(std::span<const ValueType> inputs) const override;
  void gradient(GradientBuilder& builder) const override;
  Cost cost(const NodeTypes& types) const override;
  std::unique_ptr<Kernel> cpu_kernel(const NodeTypes&, const KernelContext&) const override;
  std::unique_ptr<Kernel> cuda_kernel(const NodeTypes&, const KernelContext&) const override;

 private:
  PartsCut cut_;
  Shape shape_;
};

// y = the tensor that the ranks' parts make up.    dx = this rank's part of dy.
//
//   parts  (size, outer extent / size inner), f32: as all_gather leaves them
//   x      this rank's part; only the gradient looks at it
//   y      `shape`, (outer, extent, inner)
class JoinParts : public Op {
 public:
  JoinParts(PartsCut cut, Shape shape) : cut_(std::move(cut)), shape_(shape) {}
  std::string_view type() const override { return "join_parts"; }
  std::vector<ValueType> infer(std::span<const ValueType> inputs) const override;
  void gradient(GradientBuilder& builder) const override;
  Cost cost(const NodeTypes& types) const override;
  std::unique_ptr<Kernel> cpu_kernel(const NodeTypes&, const KernelContext&) const override;
  std::unique_ptr<Kernel> cuda_kernel(const NodeTypes&, const KernelContext&) const override;

 private:
  PartsCut cut_;
  Shape shape_;
};

}  // namespace trireme::core

// Maximum and average over windows of NHWC images.
//
//   x      (N, H, W, C), f32
//   y      (N, OH, OW, C),  OH = (H + 2 pad_h - kernel_h) / stride_h + 1
//   which  (N, OH, OW, C), u8 or i32: max only; the place in the window that won (the first of
//          equals, in row order)
//
// Average divides by the number of elements inside the image, unless count_include_pad.
// Throws InvalidArgument if the window does not fit or the padding exceeds half of it.
#pragma once

#include "core/graph/op.h"

namespace trireme::core {

enum class PoolKind : uint8_t { kMax, kAverage };

struct Pool2dOptions {
  PoolKind kind = PoolKind::kMax;
  int64_t kernel_h = 2, kernel_w = 2;
  int64_t stride_h = 2, stride_w = 2;
  int64_t pad_h = 0, pad_w = 0;
  bool count_include_pad = false;

  bool operator==(const Pool2dOptions&) const = default;
};

class Pool2d : public Op {
 public:
  explicit Pool2d(Pool2dOptions options) : options_(options) {}
  const Pool2dOptions& options() const { return options_; }

  std::string_view type() const override {
    return options_.kind == PoolKind::kMax ? "max_pool2d" : "average_pool2d";
  }
  std::vector<ValueType> infer(std::span<const ValueType> inputs) const override;
  void gradient(GradientBuilder& builder) const override;
  Cost cost(const NodeTypes& types) const override;
  std::unique_ptr<Kernel> cpu_kernel(const NodeTypes&, const KernelContext&) const override;
  std::unique_ptr<Kernel> cuda_kernel(const NodeTypes&, const KernelContext&) const override;

 private:
  Pool2dOptions options_;
};

// dy (N, OH, OW, C), which (max only)   ->   dx of the given shape (N, H, W, C)
class Pool2dGrad : public Op {
 public:
  Pool2dGrad(Pool2dOptions options, Shape x) : options_(options), x_(x) {}

  std::string_view type() const override { return "pool2d_grad"; }
  std::vector<ValueType> infer(std::span<const ValueType> inputs) const override;
  Cost cost(const NodeTypes& types) const override;
  std::unique_ptr<Kernel> cpu_kernel(const NodeTypes&, const KernelContext&) const override;
  std::unique_ptr<Kernel> cuda_kernel(const NodeTypes&, const KernelContext&) const override;

 private:
  Pool2dOptions options_;
  Shape x_;
};

}  // namespace trireme::core

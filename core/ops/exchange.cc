#include "core/ops/exchange.h"

#include "core/base/error.h"
#include "core/graph/differentiate.h"
#include "core/ops/expect.h"
#include "core/ops/parts.h"

namespace trireme::core {
namespace {

[[noreturn]] void no_kernel(std::string_view op) {
  throw SystemError(fmt::format("[{}] runs no kernel", op));
}

const ValueType& one_input(std::string_view op, std::span<const ValueType> inputs) {
  expect_count(op, inputs, 1, 1);
  expect_dtype(op, "x", inputs[0], DType::kF32);
  return inputs[0];
}

void expect_elements(std::string_view op, const ValueType& x, const Shape& y, int64_t want) {
  if (y.elements() != want)
    fail("[{}] expects an output of {} elements for x {}, got {}", op, want, x.str(), y.str());
}

}  // namespace

// What must move between this rank's memory and the others'.
Cost ExchangeOp::cost(const NodeTypes& types) const {
  return {.flops = 0, .bytes = types.inputs[0].bytes() + types.outputs[0].bytes()};
}

std::unique_ptr<Kernel> ExchangeOp::cpu_kernel(const NodeTypes&, const KernelContext&) const {
  no_kernel(type());
}

std::unique_ptr<Kernel> ExchangeOp::cuda_kernel(const NodeTypes&, const KernelContext&) const {
  no_kernel(type());
}

std::vector<ValueType> AllReduce::infer(std::span<const ValueType> inputs) const {
  return {one_input(type(), inputs)};
}

void AllReduce::gradient(GradientBuilder& builder) const {
  builder.pass(0, builder.output_gradient(0));
}

std::vector<ValueType> AllGather::infer(std::span<const ValueType> inputs) const {
  const ValueType& x = one_input(type(), inputs);
  expect_elements(type(), x, shape_, x.elements() * place_.size);
  return {{shape_, x.dtype}};
}

void AllGather::gradient(GradientBuilder& builder) const {
  const Shape& x = builder.type(builder.input(0)).shape;
  OpPtr op;
  if (gradient_ == GatherGradient::kSum)
    op = std::make_shared<ReduceScatter>(place_, x);
  else
    op = std::make_shared<TakePart>(blocks_cut(shape_, place_), x);
  builder.emit("input", std::move(op), {builder.output_gradient(0)}, {0});
}

std::vector<ValueType> ReduceScatter::infer(std::span<const ValueType> inputs) const {
  const ValueType& x = one_input(type(), inputs);
  expect_elements(type(), x, shape_, x.elements() / place_.size);
  if (x.elements() % place_.size != 0)
    fail("[reduce_scatter] expects {} equal blocks, got x {}", place_.size, x.str());
  return {{shape_, x.dtype}};
}

void ReduceScatter::gradient(GradientBuilder& builder) const {
  const Shape& x = builder.type(builder.input(0)).shape;
  builder.emit("input", std::make_shared<AllGather>(place_, x, GatherGradient::kSum),
               {builder.output_gradient(0)}, {0});
}

std::vector<ValueType> Share::infer(std::span<const ValueType> inputs) const {
  return {one_input(type(), inputs)};
}

void Share::gradient(GradientBuilder& builder) const {
  builder.emit("input", std::make_shared<AllReduce>(place_), {builder.output_gradient(0)}, {0});
}

std::unique_ptr<Kernel> Share::cpu_kernel(const NodeTypes&, const KernelContext&) const {
  no_kernel(type());
}

std::unique_ptr<Kernel> Share::cuda_kernel(const NodeTypes&, const KernelContext&) const {
  no_kernel(type());
}

}  // namespace trireme::core

#include <algorithm>

#include "core/cpu/flash_attention.h"
#include "core/ops/attention_workers.h"
#include "core/ops/causal_attention.h"
#include "core/ops/cpu_kernel.h"

namespace trireme::core {
namespace {

HeadShape head_shape(const AttentionShape& shape) {
  return {.queries = shape.positions, .first = 0, .head_dim = shape.head_dim, .scale = shape.scale};
}

// Where head h of sample b begins in qkv, and in y.
struct Head {
  const AttentionShape& shape;
  int64_t b, h;

  int64_t sample() const { return b * shape.positions; }
  int64_t kv() const { return h / shape.group() * shape.head_dim; }
  int64_t query() const { return sample() * shape.qkv_row() + h * shape.head_dim; }
  int64_t key() const { return sample() * shape.qkv_row() + shape.key_offset() + kv(); }
  int64_t value() const { return sample() * shape.qkv_row() + shape.value_offset() + kv(); }
  int64_t out() const { return sample() * shape.out_row() + h * shape.head_dim; }
  int64_t log_sum_exp() const { return (b * shape.heads + h) * shape.positions; }
};

void forward_head(const Head& head, const float* qkv, float* y, float* log_sum_exp,
                  void* workspace) {
  const int64_t row = head.shape.qkv_row();
  flash_forward(head_shape(head.shape), {qkv + head.query(), row}, {qkv + head.key(), row},
                {qkv + head.value(), row}, {y + head.out(), head.shape.out_row()},
                log_sum_exp + head.log_sum_exp(), workspace);
}

void backward_head(const Head& head, const KernelArgs& args, void* workspace) {
  const auto *qkv = args.in<float>(0), *y = args.in<float>(1), *dy = args.in<float>(3);
  auto* dqkv = args.out<float>(0);
  const int64_t row = head.shape.qkv_row(), out_row = head.shape.out_row();
  flash_backward(head_shape(head.shape), {qkv + head.query(), row}, {qkv + head.key(), row},
                 {qkv + head.value(), row}, {y + head.out(), out_row},
                 args.in<float>(2) + head.log_sum_exp(), {dy + head.out(), out_row},
                 {.dq = {dqkv + head.query(), row},
                  .dk = {dqkv + head.key(), row},
                  .dv = {dqkv + head.value(), row},
                  .accumulate = head.h % head.shape.group() > 0},
                 workspace);
}

}  // namespace

std::unique_ptr<Kernel> CausalAttention::cpu_kernel(const NodeTypes& types,
                                                    const KernelContext& context) const {
  return make_kernel([shape = attention_shape(type(), options_, types.inputs[0]),
                      threads = context.threads](const KernelArgs& args) {
    for_each_head(threads, shape.batch * shape.heads, args.workspace,
                  flash_forward_bytes(shape.head_dim), [&](int64_t task, void* workspace) {
                    const Head head{shape, task / shape.heads, task % shape.heads};
                    forward_head(head, args.in<float>(0), args.out<float>(0), args.out<float>(1),
                                 workspace);
                  });
  });
}

// A worker takes all query heads of a key head, one after the other.
std::unique_ptr<Kernel> CausalAttentionGrad::cpu_kernel(const NodeTypes& types,
                                                        const KernelContext& context) const {
  return make_kernel([shape = attention_shape(type(), options_, types.inputs[0]),
                      threads = context.threads](const KernelArgs& args) {
    for_each_head(threads, shape.batch * shape.kv_heads, args.workspace,
                  flash_backward_bytes(shape.head_dim), [&](int64_t task, void* workspace) {
                    const int64_t first = task % shape.kv_heads * shape.group();
                    for (int64_t h = first; h < first + shape.group(); ++h)
                      backward_head(Head{shape, task / shape.kv_heads, h}, args, workspace);
                  });
  });
}

}  // namespace trireme::core

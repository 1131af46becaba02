#include "tests/support/cached_attention_check.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/ops/cached_attention.h"
#include "core/ops/causal_attention.h"
#include "tests/support/host_tensor.h"
#include "tests/support/op_check.h"

namespace trireme::test {
namespace {

using core::AttentionOptions;
using core::DType;

// One CachedAttention with its cache, which lies between guards.
class Generator {
 public:
  Generator(OpDevice& device, const AttentionOptions& options, int64_t batch, int64_t max_positions)
      : device_(device),
        op_(options, max_positions),
        cache_(device, op_.cache_type(batch).bytes()) {
    cache_.write(to_bytes(zeros(DType::kF32, op_.cache_type(batch).shape)));
  }

  HostTensor cache() const { return from_bytes(op_.cache_type(batch()), cache_.read()); }
  int64_t batch() const {
    return static_cast<int64_t>(cache_.read().size()) / op_.cache_type(1).bytes();
  }

  HostTensor run(const HostTensor& qkv, const std::vector<double>& held) {
    const HostTensor positions = tensor_of(DType::kI32, {batch()}, held);
    const std::vector<core::ValueType> inputs{qkv.type, op_.cache_type(batch()), positions.type};
    const std::vector<core::ValueType> outputs = op_.infer(inputs);
    const core::NodeTypes types{inputs, outputs};
    GuardedMemory qkv_memory(device_, qkv.type.bytes()), y(device_, outputs[0].bytes());
    GuardedMemory held_memory(device_, positions.type.bytes());
    GuardedMemory workspace(device_, op_.workspace_cap(types, device_.kind()));
    qkv_memory.write(to_bytes(qkv));
    held_memory.write(to_bytes(positions));
    const std::vector<const void*> in{qkv_memory.data(), cache_.data(), held_memory.data()};
    const std::vector<void*> out{y.data()};
    core::KernelArgs args;
    args.inputs = in.data();
    args.outputs = out.data();
    args.workspace = workspace.data();
    args.stream = device_.stream();
    device_.make_kernel(op_, types, {})->run(args);
    device_.synchronize();
    for (const GuardedMemory* memory : {&qkv_memory, &y, &held_memory, &workspace})
      EXPECT_TRUE(memory->guards_intact());
    EXPECT_TRUE(cache_.guards_intact());
    return from_bytes(outputs[0], y.read());
  }

 private:
  OpDevice& device_;
  core::CachedAttention op_;
  GuardedMemory cache_;
};

// Positions [first, first + count) of every sample of x (B, S, width).
HostTensor positions_of(const HostTensor& x, int64_t first, int64_t count) {
  const int64_t batch = x.type.shape[0], all = x.type.shape[1], width = x.type.shape[2];
  std::vector<double> values;
  for (int64_t b = 0; b < batch; ++b) {
    const auto begin = x.values.begin() + (b * all + first) * width;
    values.insert(values.end(), begin, begin + count * width);
  }
  return tensor_of(x.type.dtype, {batch, count, width}, values);
}

void check_pieces(OpDevice& device, const AttentionOptions& options,
                  const std::vector<int64_t>& pieces) {
  constexpr int64_t kBatch = 2, kSpare = 3;
  int64_t all = 0;
  for (int64_t piece : pieces) all += piece;
  const int64_t kv_row = 2 * options.kv_heads * options.head_dim;
  const int64_t width = options.heads * options.head_dim + kv_row;
  const HostTensor qkv = Random(17).normal({kBatch, all, width});
  const HostTensor want = run_op(device, core::CausalAttention(options), {qkv})[0];
  Generator generator(device, options, kBatch, all + kSpare);
  int64_t first = 0;
  for (int64_t piece : pieces) {
    const std::vector<double> held(kBatch, static_cast<double>(first));
    const HostTensor y = generator.run(positions_of(qkv, first, piece), held);
    EXPECT_EQ(difference(y.values, positions_of(want, first, piece).values, 3e-6), "")
        << "positions from " << first;
    first += piece;
  }
  const HostTensor cache = generator.cache();
  for (int64_t row = 0; row < kBatch * (all + kSpare); ++row)
    for (int64_t i = 0; i < kv_row; ++i) {
      const int64_t b = row / (all + kSpare), s = row % (all + kSpare);
      const double kept = s < all ? qkv.values[(b * all + s) * width + width - kv_row + i] : 0;
      ASSERT_EQ(cache.values[row * kv_row + i], kept) << "cache row " << row;
    }
}

// Sample 0 holds 3 of 5 positions, so that 2 more fit; the others hold too many, or nonsense.
void check_overflow(OpDevice& device) {
  const AttentionOptions options{.heads = 2, .kv_heads = 1, .head_dim = 3};
  Generator generator(device, options, 4, 5);
  const HostTensor y = generator.run(Random(3).normal({4, 2, 12}), {3, 4, -1, 2147483647});
  const HostTensor cache = generator.cache();
  for (int64_t i = 0; i < y.size(); ++i) EXPECT_EQ(std::isnan(y.values[i]), i >= y.size() / 4) << i;
  const int64_t sample = cache.size() / 4;
  EXPECT_EQ(std::count(cache.values.begin(), cache.values.begin() + sample, 0), 3 * 6);
  EXPECT_EQ(std::count(cache.values.begin() + sample, cache.values.end(), 0), 3 * sample);
}

}  // namespace

void check_cached_attention(OpDevice& device) {
  check_pieces(device, {.heads = 1, .kv_heads = 1, .head_dim = 1}, {1, 1});
  check_pieces(device, {.heads = 6, .kv_heads = 2, .head_dim = 5}, {7, 1, 1, 3, 1});
  check_pieces(device, {.heads = 2, .kv_heads = 2, .head_dim = 33, .scale = 0.5F}, {101, 1, 20});
  check_overflow(device);
}

}  // namespace trireme::test

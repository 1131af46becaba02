// y[b, s] = table[tokens[b, s]] + position_table[s + positions[b]].
//
//   tokens          (B, S), i32
//   table           (V, H), f32
//   position_table  (P, H), f32, optional; P at least S
//   positions       (B), i32, optional: where each sample begins; 0 without it. Only beside
//                   position_table
//   y               (B, S, H), f32
//
// The table may be a slice of the vocabulary (a rank's part under tensor parallelism): it then
// holds the tokens [first_token, first_token + V), and any other token of the vocabulary gives 0.
//
// A token outside of the vocabulary, or a position outside of [0, P), reads nothing: its row of y
// is NaN, so that the step is refused. Data are checked before they come here.
//
// Throws InvalidArgument if shapes differ, V or H is 0, or the slice leaves the vocabulary.
#pragma once

#include "core/graph/op.h"

namespace trireme::core {

struct EmbeddingOptions {
  int64_t first_token = 0;
  int64_t vocabulary = 0;  // 0: the table is all of it

  bool operator==(const EmbeddingOptions&) const = default;
};

class Embedding : public Op {
 public:
  explicit Embedding(EmbeddingOptions options = {}) : options_(options) {}
  const EmbeddingOptions& options() const { return options_; }

  std::string_view type() const override { return "embedding"; }
  std::vector<ValueType> infer(std::span<const ValueType> inputs) const override;
  void gradient(GradientBuilder& builder) const override;
  std::vector<ShardingRule> shardings(const ShardingRequest& request) const override;
  std::vector<ValueId> emit_local(LocalBuilder& builder) const override;
  Cost cost(const NodeTypes& types) const override;
  std::unique_ptr<Kernel> cpu_kernel(const NodeTypes&, const KernelContext&) const override;
  std::unique_ptr<Kernel> cuda_kernel(const NodeTypes&, const KernelContext&) const override;

 private:
  EmbeddingOptions options_;
};

// dtable[v] = the sum of dy[b, s] over all tokens[b, s] = first_token + v, in the order of (b, s).
//
//   dy (B, S, H), tokens (B, S)   ->   dtable (rows, H); accumulates
class EmbeddingGrad : public Op {
 public:
  EmbeddingGrad(EmbeddingOptions options, int64_t rows) : options_(options), rows_(rows) {}

  std::string_view type() const override { return "embedding_grad"; }
  std::vector<ValueType> infer(std::span<const ValueType> inputs) const override;
  Cost cost(const NodeTypes& types) const override;
  int64_t workspace_cap(const NodeTypes&, DeviceKind) const override;
  bool accumulates() const override { return true; }
  std::unique_ptr<Kernel> cpu_kernel(const NodeTypes&, const KernelContext&) const override;
  std::unique_ptr<Kernel> cuda_kernel(const NodeTypes&, const KernelContext&) const override;

 private:
  EmbeddingOptions options_;
  int64_t rows_;
};

// dposition_table[p] = the sum over b of dy[b, p - positions[b]], where there is such a row.
//
//   dy (B, S, H), positions (B), optional   ->   dposition_table (rows, H); accumulates
class PositionEmbeddingGrad : public Op {
 public:
  explicit PositionEmbeddingGrad(int64_t rows) : rows_(rows) {}

  std::string_view type() const override { return "position_embedding_grad"; }
  std::vector<ValueType> infer(std::span<const ValueType> inputs) const override;
  Cost cost(const NodeTypes& types) const override;
  bool accumulates() const override { return true; }
  std::unique_ptr<Kernel> cpu_kernel(const NodeTypes&, const KernelContext&) const override;
  std::unique_ptr<Kernel> cuda_kernel(const NodeTypes&, const KernelContext&) const override;

 private:
  int64_t rows_;
};

}  // namespace trireme::core

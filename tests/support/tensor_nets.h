// Small networks with the hints of tensor parallelism, and a batch for each.
#pragma once

#include <string>
#include <vector>

#include "core/base/activation_kind.h"
#include "core/graph/graph.h"
#include "tests/support/graph_run.h"

namespace trireme::test {

struct TensorNet {
  std::string name;
  core::Graph forward;  // with a loss "loss"
  GraphFeeds feeds;
};

// Linear layers fc1, fc2, ... of these sizes and logits of 7 classes; odd layers are cut by
// outputs, even ones by inputs, the last only where it follows an odd one. Dropout behind fc1.
TensorNet mlp_net(const std::vector<int64_t>& hidden, core::ActivationKind activation);

struct GptNet {
  int64_t batch = 5, positions = 6, heads = 12, head_dim = 2, hidden = 36, vocabulary = 29;
  int layers = 2;
  float dropout = 0.2f;
  bool tied = true;
  float label_smoothing = 0;
};

// Learned positions, pre-norm blocks with the residual fused into the norms.
TensorNet gpt_net(const GptNet& net);

struct LlamaNet {
  int64_t batch = 5, positions = 6, heads = 24, kv_heads = 12, head_dim = 2, hidden = 24;
  int64_t vocabulary = 31;
  int layers = 2;
};

// RMS norm, rotary positions, grouped queries, SwiGLU, a head of its own.
TensorNet llama_net(const LlamaNet& net);

}  // namespace trireme::test

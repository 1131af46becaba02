// What decoders of tokens share: the residual stream and its blocks, on the one builder.
//
//   stream = embedding(tokens);  stream += attention(norm(stream));  stream += mlp(norm(stream))
//
// What a branch makes is added to the stream by the norm that reads the stream next (core/ops/
// norm.h), so nothing else needs to add.
#pragma once

#include <string>

#include "models/net_builder.h"

namespace trireme::models {

struct StreamOptions {
  core::NormOptions norm;
  bool bias = true;  // of norms and linear layers
  float dropout = 0;
  int64_t layers = 0;
  int64_t width = 0;
};

// Weights start from N(0, 0.02); those of the layers that add to the stream from
// N(0, 0.02 / sqrt(2 layers)), so that its variance does not grow with depth.
// Source: Radford et al., Language Models are Unsupervised Multitask Learners (2019), section 2.3.
class ResidualStream {
 public:
  // `embedded` (B, S, width) begins the stream.
  ResidualStream(NetBuilder& net, const StreamOptions& options, core::ValueId embedded);

  // The normalised stream, (B, S, width).
  core::ValueId norm(const std::string& name);
  // A layer within a branch. `parts`: rows of the fused pieces that `outputs` is made of.
  core::ValueId project(const std::string& name, core::ValueId x, int64_t outputs,
                        std::vector<int64_t> parts = {},
                        core::ActivationKind activation = core::ActivationKind::kNone);
  // The last layer of a branch; its dropout is named "<branch>/dropout".
  void add(const std::string& branch, const std::string& layer, core::ValueId x);

 private:
  NetBuilder& net_;
  StreamOptions options_;
  core::ValueId stream_;  // without the last branch
  core::ValueId branch_ = core::kNoValue;
};

// The end of a decoder: final norm, logits, loss. `table`: the embedding's weight where the head
// is tied to it, else kNoValue.
void language_head(NetBuilder& net, ResidualStream& stream, int64_t vocabulary,
                   core::ValueId table);

// Refuses what is no micro-batch of at most `context` tokens and as many labels.
void expect_tokens(const NetBuilder& net, std::string_view model, int64_t context);

}  // namespace trireme::models

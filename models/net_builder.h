// The one builder of networks: a call a layer, parameters named "<layer>/weight" and
// "<layer>/bias".
//
// The graph is built for one micro-batch as if there were one device. Its inputs are "data"
// (B, sample...), "labels" (B, labels...) and "weights" (B), in this order: a batch of the data
// loader.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/graph/graph.h"
#include "core/ops/attention_shape.h"
#include "core/ops/norm.h"
#include "core/ops/rotary.h"
#include "models/model_options.h"

namespace trireme::models {

// Of language models, instead of labels, weights and a loss: the tokens come after `positions`
// (B) i32 others, whose keys and values are kept in states "<attention>/cache".
struct GenerationRequest {
  int64_t cache_positions = 0;  // tokens that a cache has room for
  bool logits = true;           // kept as "head"; else the caches are all that is made
};

struct BuildRequest {
  int64_t batch = 1;                            // samples of a micro-batch
  core::Shape sample;                           // of one sample: (H, W, C) for images
  int64_t classes = 0;                          // of the data's labels
  bool training = true;                         // false: an eval graph, where dropout does nothing
  core::DType sample_type = core::DType::kF32;  // kI32: tokens below classes
  core::Shape labels{};                         // of one sample: () for one label, (S) one a token
  std::optional<GenerationRequest> generation{};
};

// The standard deviation of embeddings' and language models' first weights.
inline constexpr float kEmbeddingStddev = 0.02f;

struct Embedded {
  core::ValueId y;      // (B, S, width)
  core::ValueId table;  // the parameter "tokens/weight", (vocabulary, width)
};

struct NormedSum {
  core::ValueId normed, sum;
};

class NetBuilder {
 public:
  explicit NetBuilder(const BuildRequest& request);

  core::ValueId data() const { return data_; }
  core::ValueId labels() const { return labels_; }
  const BuildRequest& request() const { return request_; }
  core::Graph& graph() { return graph_; }

  core::ValueId linear(const std::string& name, core::ValueId x, const LinearLayer& layer);
  // The same product with a weight (outputs, inputs) that is there already, without a bias.
  core::ValueId linear(const std::string& name, core::ValueId x, core::ValueId weight);
  core::ValueId conv2d(const std::string& name, core::ValueId x, const Conv2dLayer& layer);
  core::ValueId pool2d(const std::string& name, core::ValueId x,
                       const core::Pool2dOptions& options);
  core::ValueId activation(const std::string& name, core::ValueId x, core::ActivationKind kind);
  core::ValueId flatten(const std::string& name, core::ValueId x);
  core::ValueId reshape(const std::string& name, core::ValueId x, std::vector<int64_t> dims);
  core::ValueId add(const std::string& name, core::ValueId a, core::ValueId b);
  core::ValueId scale(const std::string& name, core::ValueId x, float factor);
  core::ValueId dropout(const std::string& name, core::ValueId x, float probability);

  // Of the data, which are tokens. Learned positions "positions/weight" (positions, width) are
  // added unless there are 0 of them.
  Embedded embedding(int64_t vocabulary, int64_t width, int64_t positions);
  // norm(x), and norm(x + residual) with that sum. Weights start at 1, biases at 0.
  core::ValueId norm(const std::string& name, core::ValueId x, const core::NormOptions& options,
                     bool bias);
  NormedSum norm(const std::string& name, core::ValueId x, core::ValueId residual,
                 const core::NormOptions& options, bool bias);
  core::ValueId rotary(const std::string& name, core::ValueId x,
                       const core::RotaryOptions& options);
  // Causal; while generating, over a cache.
  core::ValueId attention(const std::string& name, core::ValueId qkv,
                          const core::AttentionOptions& options);
  // Any op with one output, from an outside project.
  core::ValueId op(const std::string& name, core::OpPtr op, std::vector<core::ValueId> inputs);

  // Losses also add the metrics that go with them ("accuracy" for the first cross-entropy).
  void softmax_cross_entropy(const std::string& name, core::ValueId logits,
                             const SoftmaxCrossEntropyLayer& layer);
  void mean_squared_error(const std::string& name, core::ValueId x, core::ValueId target,
                          float weight);

  // Throws InvalidArgument if there is no loss, but for generation.
  core::Graph finish() &&;

 private:
  struct Fans {
    int64_t in, out;
  };
  core::ValueId weight(const std::string& layer, core::Shape shape, Fans fans,
                       const InitOptions& init, core::SplitHint split = {});
  core::ValueId bias(const std::string& layer, int64_t outputs, bool present, Fans fans,
                     const InitOptions& init, core::SplitHint split = {});
  std::vector<core::ValueId> norm_inputs(const std::string& name, core::ValueId x, bool bias);

  BuildRequest request_;
  core::Graph graph_;
  core::ValueId data_ = core::kNoValue, labels_ = core::kNoValue, weights_ = core::kNoValue;
  core::ValueId positions_ = core::kNoValue;  // while generating
};

}  // namespace trireme::models

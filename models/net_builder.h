// The one builder of networks: a call a layer, parameters named "<layer>/weight" and
// "<layer>/bias".
//
// The graph is built for one micro-batch as if there were one device. Its inputs are "data"
// (B, sample...), "labels" (B, labels...) and "weights" (B), in this order: a batch of the data
// loader.
#pragma once

#include <string>
#include <vector>

#include "core/graph/graph.h"
#include "models/model_options.h"

namespace trireme::models {

struct BuildRequest {
  int64_t batch = 1;                            // samples of a micro-batch
  core::Shape sample;                           // of one sample: (H, W, C) for images
  int64_t classes = 0;                          // of the data's labels
  bool training = true;                         // false: an eval graph, where dropout does nothing
  core::DType sample_type = core::DType::kF32;  // kI32: tokens below classes
  core::Shape labels{};                         // of one sample: () for one label, (S) one a token
};

class NetBuilder {
 public:
  explicit NetBuilder(const BuildRequest& request);

  core::ValueId data() const { return data_; }
  core::ValueId labels() const { return labels_; }
  core::Graph& graph() { return graph_; }

  core::ValueId linear(const std::string& name, core::ValueId x, const LinearLayer& layer);
  core::ValueId conv2d(const std::string& name, core::ValueId x, const Conv2dLayer& layer);
  core::ValueId pool2d(const std::string& name, core::ValueId x,
                       const core::Pool2dOptions& options);
  core::ValueId activation(const std::string& name, core::ValueId x, core::ActivationKind kind);
  core::ValueId flatten(const std::string& name, core::ValueId x);
  core::ValueId reshape(const std::string& name, core::ValueId x, std::vector<int64_t> dims);
  core::ValueId add(const std::string& name, core::ValueId a, core::ValueId b);
  core::ValueId scale(const std::string& name, core::ValueId x, float factor);
  core::ValueId dropout(const std::string& name, core::ValueId x, float probability);
  // Any op with one output, from an outside project.
  core::ValueId op(const std::string& name, core::OpPtr op, std::vector<core::ValueId> inputs);

  // Losses also add the metrics that go with them ("accuracy" for the first cross-entropy).
  void softmax_cross_entropy(const std::string& name, core::ValueId logits,
                             const SoftmaxCrossEntropyLayer& layer);
  void mean_squared_error(const std::string& name, core::ValueId x, core::ValueId target,
                          float weight);

  // Throws InvalidArgument if there is no loss.
  core::Graph finish() &&;

 private:
  struct Fans {
    int64_t in, out;
  };
  core::ValueId weight(const std::string& layer, core::Shape shape, Fans fans,
                       const InitOptions& init);
  core::ValueId bias(const std::string& layer, int64_t outputs, bool present, Fans fans,
                     const InitOptions& init);

  BuildRequest request_;
  core::Graph graph_;
  core::ValueId data_, labels_, weights_;
};

}  // namespace trireme::models

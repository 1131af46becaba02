#include "models/transformer.h"

#include <cmath>

#include "core/base/error.h"

namespace trireme::models {

using core::ValueId;

ResidualStream::ResidualStream(NetBuilder& net, const StreamOptions& options, ValueId embedded)
    : net_(net),
      options_(options),
      stream_(net.dropout("embedding/dropout", embedded, options.dropout)) {}

ValueId ResidualStream::norm(const std::string& name) {
  if (branch_ == core::kNoValue) return net_.norm(name, stream_, options_.norm, options_.bias);
  const NormedSum sum = net_.norm(name, branch_, stream_, options_.norm, options_.bias);
  branch_ = core::kNoValue;
  stream_ = sum.sum;
  return sum.normed;
}

ValueId ResidualStream::project(const std::string& name, ValueId x, int64_t outputs,
                                std::vector<int64_t> parts, core::ActivationKind activation) {
  return net_.linear(name, x,
                     {.outputs = outputs,
                      .bias = options_.bias,
                      .op = {.activation = activation},
                      .init = NormalInit{0, kEmbeddingStddev},
                      .split = {.dim = 0, .parts = std::move(parts)}});
}

void ResidualStream::add(const std::string& branch, const std::string& layer, ValueId x) {
  const double depth = 2 * static_cast<double>(options_.layers);
  const auto stddev = static_cast<float>(kEmbeddingStddev / std::sqrt(depth));
  const ValueId y = net_.linear(layer, x,
                                {.outputs = options_.width,
                                 .bias = options_.bias,
                                 .init = NormalInit{0, stddev},
                                 .split = {.dim = 1}});
  branch_ = net_.dropout(branch + "/dropout", y, options_.dropout);
}

void language_head(NetBuilder& net, ResidualStream& stream, int64_t vocabulary, ValueId table) {
  if (net.request().generation && !net.request().generation->logits) return;
  const ValueId x = stream.norm("norm");
  const ValueId logits = table != core::kNoValue
                             ? net.linear("head", x, table)
                             : net.linear("head", x,
                                          {.outputs = vocabulary,
                                           .bias = false,
                                           .init = NormalInit{0, kEmbeddingStddev},
                                           .split = {.dim = 0, .parts = {}, .unequal = true}});
  if (net.request().generation)
    net.graph().keep(logits);
  else
    net.softmax_cross_entropy("loss", logits, {});
}

void expect_tokens(const NetBuilder& net, std::string_view model, int64_t context) {
  const BuildRequest& request = net.request();
  const bool tokens = request.sample_type == core::DType::kI32 && request.sample.rank() == 1;
  if (!tokens || (!request.generation && request.labels != request.sample))
    fail("[{}] expects tokens (S) with a label each, got {}{} with labels {}", model,
         core::name_of(request.sample_type), request.sample.str(), request.labels.str());
  if (request.sample[0] > context)
    fail("[{}] expects samples of at most {} tokens, its context, got {}", model, context,
         request.sample[0]);
}

}  // namespace trireme::models

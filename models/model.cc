#include "models/model.h"

#include <fmt/ranges.h>

#include <ranges>

#include "core/base/error.h"
#include "models/gpt.h"
#include "models/layers.h"
#include "models/lenet5.h"
#include "models/llama.h"
#include "models/mlp.h"

namespace trireme::models {
namespace {

struct Network {
  NetBuilder& net;
  const ModelFactories& factories;
  void operator()(const MlpOptions& options) const { mlp(net, options); }
  void operator()(const Lenet5Options& options) const { lenet5(net, options); }
  void operator()(const GptOptions& options) const { gpt(net, options); }
  void operator()(const LlamaOptions& options) const { llama(net, options); }
  void operator()(const LayerList& layers) const { layer_list(net, layers); }
  void operator()(const CustomModelOptions& options) const {
    const auto found = factories.find(options.name);
    if (found == factories.end())
      fail("model.custom: this program knows no model '{}'; it knows: {}", options.name,
           factories.empty() ? "none"
                             : fmt::format("{}", fmt::join(std::views::keys(factories), ", ")));
    found->second(net, options);
  }
  void operator()(std::monostate) const { fail("the job has no model"); }
};

}  // namespace

core::Graph build_model(const ModelOptions& options, const BuildRequest& request,
                        const ModelFactories& factories) {
  NetBuilder net(request);
  try {
    std::visit(Network{net, factories}, options.network);
    return std::move(net).finish();
  } catch (const PlacedError&) {
    throw;
  } catch (const InvalidArgument& error) {
    if (options.place.text.empty()) throw;
    throw InvalidArgument(fmt::format("{}: {}", options.place.text, error.what()), error.code());
  }
}

}  // namespace trireme::models

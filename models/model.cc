#include "models/model.h"

#include "core/base/error.h"
#include "models/layers.h"
#include "models/lenet5.h"
#include "models/mlp.h"

namespace trireme::models {
namespace {

struct Network {
  NetBuilder& net;
  void operator()(const MlpOptions& options) const { mlp(net, options); }
  void operator()(const Lenet5Options& options) const { lenet5(net, options); }
  void operator()(const LayerList& layers) const { layer_list(net, layers); }
  void operator()(std::monostate) const { fail("the job has no model"); }
};

}  // namespace

core::Graph build_model(const ModelOptions& options, const BuildRequest& request) {
  NetBuilder net(request);
  try {
    std::visit(Network{net}, options.network);
    return std::move(net).finish();
  } catch (const PlacedError&) {
    throw;
  } catch (const InvalidArgument& error) {
    if (options.place.text.empty()) throw;
    throw InvalidArgument(fmt::format("{}: {}", options.place.text, error.what()), error.code());
  }
}

}  // namespace trireme::models

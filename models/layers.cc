#include "models/layers.h"

#include <map>

namespace trireme::models {
namespace {

using core::ActivationKind;
using core::ValueId;

// Each alternative of LayerOptions::op is ONE call of the builder. Losses have no value to go on.
class LayerCall {
 public:
  LayerCall(NetBuilder& net, const std::string& name, std::vector<ValueId> inputs,
            const std::map<std::string, ValueId>& values)
      : net_(net), name_(name), in_(std::move(inputs)), values_(values) {}

  ValueId operator()(const LinearLayer& layer) { return net_.linear(name_, in_[0], layer); }
  ValueId operator()(const Conv2dLayer& layer) { return net_.conv2d(name_, in_[0], layer); }
  ValueId operator()(const MaxPool2dLayer& layer) { return net_.pool2d(name_, in_[0], layer.op); }
  ValueId operator()(const AveragePool2dLayer& layer) {
    return net_.pool2d(name_, in_[0], layer.op);
  }
  ValueId operator()(const ReluLayer&) { return activation(ActivationKind::kRelu); }
  ValueId operator()(const TanhLayer&) { return activation(ActivationKind::kTanh); }
  ValueId operator()(const SigmoidLayer&) { return activation(ActivationKind::kSigmoid); }
  ValueId operator()(const SiluLayer&) { return activation(ActivationKind::kSilu); }
  ValueId operator()(const GeluLayer& layer) {
    return activation(layer.tanh_approximation ? ActivationKind::kGeluTanh : ActivationKind::kGelu);
  }
  ValueId operator()(const FlattenLayer&) { return net_.flatten(name_, in_[0]); }
  ValueId operator()(const ReshapeLayer& layer) { return net_.reshape(name_, in_[0], layer.dims); }
  ValueId operator()(const AddLayer&) { return net_.add(name_, in_[0], in_[1]); }
  ValueId operator()(const ScaleLayer& layer) { return net_.scale(name_, in_[0], layer.factor); }
  ValueId operator()(const DropoutLayer& layer) {
    return net_.dropout(name_, in_[0], layer.probability);
  }
  ValueId operator()(const SoftmaxCrossEntropyLayer& layer) {
    net_.softmax_cross_entropy(name_, in_[0], layer);
    return core::kNoValue;
  }
  ValueId operator()(const MeanSquaredErrorLayer& layer) {
    net_.mean_squared_error(name_, in_[0], values_.at(layer.target), layer.weight);
    return core::kNoValue;
  }
  ValueId operator()(std::monostate) { fail("layer '{}' has no kind", name_); }

 private:
  ValueId activation(ActivationKind kind) { return net_.activation(name_, in_[0], kind); }

  NetBuilder& net_;
  const std::string& name_;
  std::vector<ValueId> in_;
  const std::map<std::string, ValueId>& values_;
};

}  // namespace

void layer_list(NetBuilder& net, const LayerList& layers) {
  std::map<std::string, ValueId> values{{kDataInput, net.data()}};
  for (const LayerOptions& layer : layers) try {
      std::vector<ValueId> inputs;
      for (const std::string& name : layer.inputs) {
        const auto found = values.find(name);
        if (found == values.end())
          fail("layer '{}': there is no earlier layer '{}'", layer.name, name);
        inputs.push_back(found->second);
      }
      LayerCall call(net, layer.name, std::move(inputs), values);
      const ValueId value = std::visit(call, layer.op);
      if (value != core::kNoValue) values.emplace(layer.name, value);
    } catch (const InvalidArgument& error) {
      if (layer.place.text.empty()) throw;
      throw PlacedError(fmt::format("{}: {}", layer.place.text, error.what()), error.code());
    }
}

}  // namespace trireme::models

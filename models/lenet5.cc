#include "models/lenet5.h"

namespace trireme::models {

void lenet5(NetBuilder& net, const Lenet5Options& options) {
  constexpr auto kRelu = core::ActivationKind::kRelu;
  const auto convolution = [&](int64_t outputs, int64_t pad) {
    return Conv2dLayer{.outputs = outputs,
                       .kernel_h = 5,
                       .kernel_w = 5,
                       .op = {.pad_h = pad, .pad_w = pad, .activation = kRelu},
                       .init = options.init};
  };
  // Tensor parallelism may cut fc1 by outputs and fc2 by the inputs that come of it.
  const auto dense = [&](int64_t outputs, core::ActivationKind activation, int split_dim) {
    return LinearLayer{.outputs = outputs,
                       .op = {.activation = activation},
                       .init = options.init,
                       .split = {.dim = split_dim}};
  };
  core::ValueId x = net.conv2d("conv1", net.data(), convolution(6, 2));
  x = net.pool2d("pool1", x, {});
  x = net.conv2d("conv2", x, convolution(16, 0));
  x = net.pool2d("pool2", x, {});
  x = net.flatten("flatten", x);
  x = net.linear("fc1", x, dense(120, kRelu, 0));
  x = net.linear("fc2", x, dense(84, kRelu, 1));
  x = net.linear("fc3", x, dense(options.classes, core::ActivationKind::kNone, -1));
  net.softmax_cross_entropy("loss", x, {});
}

}  // namespace trireme::models

#pragma once

#include "models/net_builder.h"

namespace trireme::models {

// conv1 5x5 x 6 (padded by 2), pool1, conv2 5x5 x 16, pool2, fc1 120, fc2 84, fc3: ReLU in place of
// the paper's tanh and max in place of its trained average pooling, as it is trained today.
// Expects images of at least 12 x 12.
void lenet5(NetBuilder& net, const Lenet5Options& options);

}  // namespace trireme::models

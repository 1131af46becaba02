#pragma once

#include "models/net_builder.h"

namespace trireme::models {

// flatten, then fc1, fc2, ... of the hidden sizes with their activation (and dropout), then the
// logits "fc<last>" and the loss "loss".
void mlp(NetBuilder& net, const MlpOptions& options);

}  // namespace trireme::models

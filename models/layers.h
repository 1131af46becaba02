// Free lists of layers, as a job writes them.
#pragma once

#include "core/base/error.h"
#include "models/net_builder.h"

namespace trireme::models {

// An InvalidArgument that already says where in the job file it stands.
class PlacedError : public InvalidArgument {
 public:
  using InvalidArgument::InvalidArgument;
};

// One builder call a layer, in the order of the list.
void layer_list(NetBuilder& net, const LayerList& layers);

}  // namespace trireme::models

// From what a job says of its network to a graph.
#pragma once

#include "core/graph/graph.h"
#include "models/model_options.h"
#include "models/net_builder.h"

namespace trireme::models {

// Throws InvalidArgument, opened with the layer's place in the job file, for shapes that do not
// fit.
core::Graph build_model(const ModelOptions& options, const BuildRequest& request);

}  // namespace trireme::models

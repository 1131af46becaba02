// From what a job says of its network to a graph.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "core/graph/graph.h"
#include "models/model_options.h"
#include "models/net_builder.h"

namespace trireme::models {

// Networks of an outside project, by the name that the job file gives. A builder makes the layers
// and at least one loss.
using ModelFactory = std::function<void(NetBuilder&, const CustomModelOptions&)>;
using ModelFactories = std::map<std::string, ModelFactory>;

// Throws InvalidArgument, opened with the layer's place in the job file, for shapes that do not
// fit.
core::Graph build_model(const ModelOptions& options, const BuildRequest& request,
                        const ModelFactories& factories = {});

}  // namespace trireme::models

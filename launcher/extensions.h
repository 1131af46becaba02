// What an outside project brings to the `trireme` command: models and datasets of its own, by the
// names that a job file gives (`custom { name: "..." }`). No static registration: main hands them
// down. See examples/custom.
#pragma once

#include "launcher/data/open.h"
#include "models/model.h"

namespace trireme::launcher {

struct Extensions {
  models::ModelFactories models;
  DatasetFactories datasets;
};

}  // namespace trireme::launcher

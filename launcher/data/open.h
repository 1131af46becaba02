// From options to datasets: the one place that knows every source.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "launcher/data/dataset.h"
#include "launcher/data/idx.h"
#include "launcher/data/options.h"

namespace trireme::launcher {

// Datasets of an outside project, by the name that the job file gives.
using DatasetFactory = std::function<std::unique_ptr<Dataset>(const CustomDatasetOptions&)>;
using DatasetFactories = std::map<std::string, DatasetFactory>;

// Throws InvalidArgument if the options are wrong or name no factory; with kBadData if the files
// are.
std::shared_ptr<const Dataset> open_dataset(const DatasetOptions& options,
                                            const DatasetFactories& factories = {});

// Size, shape and classes of a source: of files, their headers alone are read.
DatasetInfo inspect(const DatasetOptions& options, const DatasetFactories& factories = {});

// Throws InvalidArgument (kBadData) if the two differ in shape or classes.
void check_alike(const DatasetInfo& train, const DatasetInfo& eval);

struct DataSets {
  std::shared_ptr<const Dataset> train;
  std::shared_ptr<const Dataset> eval;  // null if the job has none
};

// Opens both, or splits one. `seed` is the job's. Throws as open_dataset and split do, and if the
// two differ in shape or classes.
DataSets open_data(const DataOptions& options, uint64_t seed,
                   const DatasetFactories& factories = {});

}  // namespace trireme::launcher

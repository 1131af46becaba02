// A job as `plan` sees it: its data may be elsewhere.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "launcher/data/open.h"
#include "launcher/job/load.h"
#include "launcher/train/data_shapes.h"

namespace trireme::launcher {

struct PlannedJob {
  JobOptions job;
  DataShapes data;
  bool data_seen = true;  // else the data's files are not here, and an epoch is taken as one step
};

// Throws InvalidArgument as load_job and inspect_data do; but for data whose shapes the job states
// (tokens, text) files may be missing.
PlannedJob load_planned_job(const std::filesystem::path& path, std::span<const std::string> sets,
                            const DatasetFactories& factories);

}  // namespace trireme::launcher

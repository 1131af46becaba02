// What a job says that this world makes no use of.
#pragma once

#include <string>
#include <vector>

#include "launcher/train/training_plan.h"

namespace trireme::launcher {

// A line each, opened with the field's place: settings of axes of one rank. Not errors: a job for
// many ranks runs on one as it is.
std::vector<std::string> remarks_on(const JobOptions& job, const RunShape& run);

}  // namespace trireme::launcher

#include <fmt/format.h>

#include <fstream>

#include "core/base/error.h"
#include "launcher/cli/commands.h"
#include "launcher/plan/device_file.h"
#include "launcher/plan/fit.h"
#include "launcher/plan/plan_text.h"
#include "launcher/plan/planned_job.h"

namespace trireme::launcher {
namespace {

void write(const std::filesystem::path& path, const std::string& text) {
  if (path.empty()) return;
  std::ofstream file(path);
  if (!(file << text).flush())
    throw SystemError(fmt::format("{} cannot be written", path.string()));
}

}  // namespace

void print_plan(const PlanArguments& arguments, const Extensions& extensions) {
  const PlannedJob planned =
      load_planned_job(arguments.job.job, arguments.job.sets, extensions.datasets);
  const PlanRequest request{planned.job, planned.data, extensions.models, arguments.job.world,
                            load_device(arguments.device)};
  const RunPlan plan = make_run_plan(request);
  fmt::print("{}", plan_text(plan, planned.job));
  if (!planned.data_seen) fmt::print("\n  the data are not here; nothing above depends on them\n");
  write(arguments.json, plan_json(plan, planned.job));
  write(arguments.timeline, plan_timeline(plan));
  check_memory(plan, request);
}

}  // namespace trireme::launcher

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

// Writes what `text` makes, if a file is asked for: large plans make large texts.
template <typename Text>
void write(const std::filesystem::path& path, const Text& text) {
  if (path.empty()) return;
  std::ofstream file(path);
  if (!(file << text()).flush())
    throw SystemError(fmt::format("{} cannot be written", path.string()));
}

}  // namespace

void print_plan(const PlanArguments& arguments, const Extensions& extensions) {
  const PlannedJob planned =
      load_planned_job(arguments.job.job, arguments.job.sets, extensions.datasets);
  const PlanRequest request{
      planned.job,
      planned.data,
      extensions.models,
      arguments.job.world,
      load_device(arguments.device),
      arguments.timeline.empty() ? core::TaskDetail::kWhole : core::TaskDetail::kParts};
  const RunPlan plan = make_run_plan(request);
  fmt::print("{}", plan_text(plan, planned.job));
  if (!planned.data_seen) fmt::print("\n  the data are not here; nothing above depends on them\n");
  write(arguments.json, [&] { return plan_json(plan, planned.job); });
  write(arguments.timeline, [&] { return plan_timeline(plan); });
  check_memory(plan, request);
}

}  // namespace trireme::launcher

#include <fmt/format.h>

#include <fstream>

#include "core/base/error.h"
#include "launcher/cli/commands.h"
#include "launcher/job/load.h"
#include "launcher/plan/device_file.h"
#include "launcher/plan/fit.h"
#include "launcher/plan/plan_text.h"

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
  const LoadedJob job = load_job(arguments.job.job, arguments.job.sets);
  const DataShapes data = inspect_data(job.options.data, extensions.datasets);
  const PlanRequest request{job.options, data, extensions.models, arguments.job.world,
                            load_device(arguments.device)};
  const RunPlan plan = make_run_plan(request);
  fmt::print("{}", plan_text(plan, job.options));
  write(arguments.json, plan_json(plan, job.options));
  write(arguments.timeline, plan_timeline(plan));
  check_memory(plan, request);
}

}  // namespace trireme::launcher

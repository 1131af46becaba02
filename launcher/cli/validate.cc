#include <fmt/format.h>

#include "launcher/cli/commands.h"
#include "launcher/job/load.h"
#include "launcher/plan/fit.h"
#include "launcher/train/data_shapes.h"
#include "launcher/train/precision.h"
#include "launcher/train/remarks.h"
#include "launcher/train/training_plan.h"
#include "launcher/train/whole_tensors.h"

namespace trireme::launcher {

namespace {

core::DeviceKind kind_of(DeviceRequest request) {
  const bool cuda = request == DeviceRequest::kCuda ||
                    (request == DeviceRequest::kAuto && core::cuda_device_count() > 0);
  return cuda ? core::DeviceKind::kCuda : core::DeviceKind::kCpu;
}

}  // namespace

void validate_job(const JobArguments& arguments, DeviceRequest device,
                  const Extensions& extensions) {
  const LoadedJob job = load_job(arguments.job, arguments.sets);
  check_precision(job.options, kind_of(device));
  const DataShapes data = inspect_data(job.options.data, extensions.datasets);
  const RunShape run = shape_run(job.options, data, arguments.world);
  const MemoryLimit limit = memory_limit(arena_limit(job.options, 0), job.options, data, run,
                                         kind_of(device), extensions.models);
  const core::SessionPlan plan =
      plan_session(job.options, data, run, 0, kind_of(device), extensions.models, limit);
  if (limit.arenas > 0) {  // every stage's, then
    const PlanRequest request{
        job.options, data, extensions.models, arguments.world,
        core::find_device(kind_of(device) == core::DeviceKind::kCuda ? "h100" : "cpu")};
    check_memory(make_run_plan(request), request);
  }
  fmt::print("{}: ok; {} parameters, {} steps of {} samples on {} rank{}\n", arguments.job.string(),
             parameter_count(plan), run.total_steps, run.batch.global_batch, arguments.world,
             arguments.world == 1 ? "" : "s");
  for (const std::string& remark : remarks_on(job.options, run)) fmt::print("{}\n", remark);
  fmt::print("{}", explain_stages(job.options, data, run, extensions.models, limit));
}

}  // namespace trireme::launcher

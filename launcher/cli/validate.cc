#include <fmt/format.h>

#include "launcher/cli/commands.h"
#include "launcher/job/load.h"
#include "launcher/train/data_shapes.h"
#include "launcher/train/training_plan.h"
#include "launcher/train/whole_tensors.h"

namespace trireme::launcher {

void validate_job(const JobArguments& arguments, const Extensions& extensions) {
  const LoadedJob job = load_job(arguments.job, arguments.sets);
  const DataShapes data = inspect_data(job.options.data, extensions.datasets);
  const RunShape run = shape_run(job.options, data, arguments.world);
  const core::SessionPlan plan =
      plan_session(job.options, data, run, 0, core::DeviceKind::kCpu, extensions.models);
  fmt::print("{}: ok; {} parameters, {} steps of {} samples on {} rank{}\n", arguments.job.string(),
             parameter_count(plan), run.total_steps, run.batch.global_batch, arguments.world,
             arguments.world == 1 ? "" : "s");
  fmt::print("{}", explain_stages(job.options, data, run, extensions.models));
}

}  // namespace trireme::launcher

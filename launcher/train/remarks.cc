#include "launcher/train/remarks.h"

#include <fmt/format.h>

namespace trireme::launcher {

std::vector<std::string> remarks_on(const JobOptions& job, const RunShape& run) {
  using parallel::Axis;
  const ParallelOptions& parallel = job.parallel;
  std::vector<std::string> remarks;
  const auto remark = [&](bool set, const char* field, Axis axis) {
    const std::string path = fmt::format("parallel.{}", field);
    if (set && run.mesh.size(axis) == 1)
      remarks.push_back(fmt::format("{}: {} changes nothing here: parallel.{} is 1",
                                    job.places.of(path), path, name_of(axis)));
  };
  remark(parallel.zero > 0, "zero", Axis::kData);
  remark(parallel.sequence, "sequence", Axis::kTensor);
  remark(parallel.pipeline_schedule != PipelineSchedule::kOneFOneB, "pipeline_schedule",
         Axis::kPipeline);
  remark(parallel.virtual_stages > 1, "virtual_stages", Axis::kPipeline);
  return remarks;
}

}  // namespace trireme::launcher

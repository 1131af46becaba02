#include "launcher/plan/fit.h"

#include <algorithm>
#include <functional>

#include "core/base/error.h"

namespace trireme::launcher {
namespace {

std::string gibibytes(int64_t bytes) {
  return fmt::format("{:.2f} GiB", static_cast<double>(bytes) / (int64_t{1} << 30));
}

// The two largest lines of a ledger.
std::string largest_lines(const Ledger& ledger) {
  std::vector<LedgerLine> lines = ledger.lines;
  std::ranges::stable_sort(lines, std::greater{}, &LedgerLine::bytes);
  return fmt::format("{} {}, {} {}", lines[0].what, gibibytes(lines[0].bytes), lines[1].what,
                     gibibytes(lines[1].bytes));
}

// A change of the job that may make it smaller, the least intrusive first.
struct Change {
  std::string text;
  JobOptions job;
};

std::vector<Change> changes_of(const RunPlan& plan, const JobOptions& job) {
  std::vector<Change> changes;
  const auto add = [&](std::string text, const std::function<void(JobOptions&)>& change) {
    changes.push_back({std::move(text), job});
    change(changes.back().job);
  };
  const int64_t micro_batch = plan.shape.batch.micro_batch;
  for (int64_t smaller = micro_batch - 1; smaller > 0; --smaller)
    if (plan.shape.batch.per_rank % smaller == 0)
      add(fmt::format("train.micro_batch: {}", smaller),
          [&](JobOptions& other) { other.train.micro_batch = smaller; });
  if (job.train.recompute == Recompute::kNone)
    add("train.recompute: FULL",
        [](JobOptions& other) { other.train.recompute = Recompute::kFull; });
  for (int64_t zero = job.parallel.zero + 1; zero <= 3; ++zero)
    if (plan.shape.mesh.size(parallel::Axis::kData) > 1)
      add(fmt::format("parallel.zero: {}", zero),
          [&](JobOptions& other) { other.parallel.zero = zero; });
  for (const auto& [name, field] : {std::pair{"tensor", &ParallelOptions::tensor},
                                    std::pair{"pipeline", &ParallelOptions::pipeline}})
    for (int64_t size = 2 * (job.parallel.*field); size <= plan.shape.mesh.world(); size *= 2)
      add(fmt::format("parallel.{}: {}", name, size), [&](JobOptions& other) {
        other.parallel.*field = size;
        other.parallel.data = 0;
      });
  const int64_t zero = plan.shape.mesh.size(parallel::Axis::kData) > 1 ? 3 : 0;
  add(fmt::format("train.micro_batch: 1 and train.recompute: FULL{} together",
                  zero > 0 ? " and parallel.zero: 3" : ""),
      [&](JobOptions& other) {
        other.train.micro_batch = 1;
        other.train.recompute = Recompute::kFull;
        other.parallel.zero = zero;
      });
  return changes;
}

}  // namespace

void check_memory(const RunPlan& plan, const PlanRequest& request) {
  const int64_t has = plan.device.memory_bytes;
  if (has == 0 || plan.rank_bytes() <= has) return;
  const auto fullest = std::ranges::max_element(
      plan.classes, {}, [&](const RankClass& c) { return plan.bytes_of(c); });
  std::string fix =
      "neither a change of micro_batch, recompute, zero, tensor or pipeline fits, nor the first "
      "three together: more ranks";
  for (const Change& change : changes_of(plan, request.job)) {
    PlanRequest other{change.job, request.data, request.factories, request.world, request.device};
    try {
      const int64_t bytes = make_run_plan(other).rank_bytes();
      if (bytes > has) continue;
      fix = fmt::format("{} would fit ({})", change.text, gibibytes(bytes));
      break;
    } catch (const InvalidArgument&) {  // that layout is none for this job
    }
  }
  fail("plan: a rank of stage {} needs {} of the {} that {} has ({}; {} outside the arenas); {}",
       fullest->stage, gibibytes(plan.rank_bytes()), gibibytes(has), plan.device.name,
       largest_lines(fullest->memory), gibibytes(plan.device.outside_bytes), fix);
}

}  // namespace trireme::launcher

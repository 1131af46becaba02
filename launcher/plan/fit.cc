#include "launcher/plan/fit.h"

#include <algorithm>
#include <functional>

#include "core/base/error.h"

namespace trireme::launcher {
namespace {

constexpr int kMostRanks = 8;  // times the job's, that changes are tried with

std::string in_bytes(int64_t bytes) {
  const double mebibytes = static_cast<double>(bytes) / (1 << 20);
  if (mebibytes < 1) return fmt::format("{:.1f} KiB", mebibytes * 1024);
  return mebibytes < 1024 ? fmt::format("{:.1f} MiB", mebibytes)
                          : fmt::format("{:.2f} GiB", mebibytes / 1024);
}

// The two largest lines of a ledger.
std::string largest_lines(const Ledger& ledger) {
  std::vector<LedgerLine> lines = ledger.lines;
  std::ranges::stable_sort(lines, std::greater{}, &LedgerLine::bytes);
  return fmt::format("{} {}, {} {}", lines[0].what, in_bytes(lines[0].bytes), lines[1].what,
                     in_bytes(lines[1].bytes));
}

// A change of the job, or of the number of ranks, that may make it smaller.
struct Change {
  std::string field;  // one change of a field is advice enough
  std::string value;
  JobOptions job;
  int world = 1;

  std::string text(int ranks) const {
    const std::string change = field + ": " + value;
    return world == ranks ? change : fmt::format("{} ranks and {}", world, change);
  }
};

class Changes {
 public:
  Changes(const PlanRequest& request, const RunShape& shape) : request_(request), shape_(shape) {}

  // The least intrusive first.
  std::vector<Change> with_as_many_ranks() {
    add_micro_batches();
    if (request_.job.train.recompute == Recompute::kNone)
      add("train.recompute", "AUTO", request_.world,
          [](JobOptions& job) { job.train.recompute = Recompute::kAuto; });
    if (shape_.mesh.size(parallel::Axis::kData) > 1) add_zero(request_.world);
    for (int size = 2; size <= request_.world; size *= 2) add_axes(size, request_.world);
    return std::move(changes_);
  }

  std::vector<Change> with_more_ranks() {
    for (int times = 2; times <= kMostRanks; times *= 2) {
      const int world = times * request_.world;
      add_axes(times * static_cast<int>(request_.job.parallel.pipeline), world);
      add_zero(world);
    }
    return std::move(changes_);
  }

 private:
  void add(std::string field, std::string value, int world,
           const std::function<void(JobOptions&)>& change) {
    changes_.push_back({std::move(field), std::move(value), request_.job, world});
    change(changes_.back().job);
  }

  void add_micro_batches() {
    for (int64_t smaller = shape_.batch.micro_batch - 1; smaller > 0; --smaller)
      if (shape_.batch.per_rank % smaller == 0)
        add("train.micro_batch", fmt::format("{}", smaller), request_.world,
            [&](JobOptions& job) { job.train.micro_batch = smaller; });
  }

  void add_zero(int world) {
    for (int64_t zero = request_.job.parallel.zero + 1; zero <= 3; ++zero)
      add("parallel.zero", fmt::format("{}", zero), world, [&](JobOptions& job) {
        job.parallel.zero = zero;
        job.parallel.data = 0;
      });
  }

  void add_axes(int64_t size, int world) {
    for (const auto& [name, field] : {std::pair{"parallel.tensor", &ParallelOptions::tensor},
                                      std::pair{"parallel.pipeline", &ParallelOptions::pipeline}})
      if (size > request_.job.parallel.*field)
        add(name, fmt::format("{}", size), world, [&](JobOptions& job) {
          job.parallel.*field = size;
          job.parallel.data = 0;
        });
  }

  const PlanRequest& request_;
  const RunShape& shape_;
  std::vector<Change> changes_;
};

// "train.micro_batch: 4 (410.2 MiB) or parallel.zero: 1 (390.0 MiB) would fit"; empty if none does.
std::string what_fits(const std::vector<Change>& changes, const PlanRequest& request) {
  std::vector<std::string> fields, fixes;
  for (const Change& change : changes) {
    if (std::ranges::find(fields, change.field) != fields.end()) continue;
    PlanRequest other{change.job, request.data, request.factories, change.world, request.device};
    try {
      const RunPlan plan = make_run_plan(other);
      if (plan.arena_bytes() > plan.arena_limit) continue;
      fields.push_back(change.field);
      fixes.push_back(
          fmt::format("{} ({})", change.text(request.world), in_bytes(plan.arena_bytes())));
    } catch (const InvalidArgument&) {  // that layout is none for this job
    }
  }
  if (fixes.empty()) return "";
  return fmt::format("{} would fit", fmt::join(fixes, ", or "));
}

std::string advice(const PlanRequest& request) {
  const RunShape shape = shape_run(request.job, request.data, request.world);
  std::string fits = what_fits(Changes(request, shape).with_as_many_ranks(), request);
  if (fits.empty()) fits = what_fits(Changes(request, shape).with_more_ranks(), request);
  if (!fits.empty()) return fits;
  return fmt::format(
      "no single change of micro_batch, recompute, zero, tensor or pipeline fits, up to {} ranks",
      kMostRanks * request.world);
}

// Whose limit it is, and where that is stated.
std::string limited_by(const PlanRequest& request, int64_t limit) {
  const JobOptions& job = request.job;
  if (limit == job.train.memory_limit_mib << 20)
    return fmt::format("{}: train.memory_limit_mib ({})", job.places.of("train.memory_limit_mib"),
                       job.train.memory_limit_mib);
  return fmt::format("{}: {} has {} for arenas", job.places.of("train"), request.device.name,
                     in_bytes(limit));
}

void check(int stage, const Ledger& ledger, int recomputed, int64_t limit,
           const PlanRequest& request) {
  const int64_t needs = ledger.total();
  if (limit == 0 || needs <= limit) return;
  const std::string again =
      recomputed == 0 ? "" : fmt::format(" with all {} blocks computed again", recomputed);
  fail("{}, but a rank of stage {} needs {}{}, {} too much ({}); {}", limited_by(request, limit),
       stage, in_bytes(needs), again, in_bytes(needs - limit), largest_lines(ledger),
       advice(request));
}

}  // namespace

void check_memory(const RunPlan& plan, const PlanRequest& request) {
  const auto fullest = std::ranges::max_element(
      plan.classes, {}, [](const RankClass& c) { return c.memory.total(); });
  check(fullest->stage, fullest->memory, fullest->plan.recomputed_blocks, plan.arena_limit,
        request);
}

void check_memory(const core::SessionPlan& plan, int stage, const PlanRequest& request) {
  const core::DeviceModel& device = request.device;
  check(stage, ledger_of(plan, device.kind), plan.recomputed_blocks,
        arena_limit(request.job, device.arena_bytes()), request);
}

}  // namespace trireme::launcher

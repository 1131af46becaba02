#include "launcher/train/training_plan.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <ranges>

#include "core/base/error.h"
#include "launcher/plan/ledger.h"
#include "launcher/train/precision.h"
#include "models/model.h"
#include "parallel/plan_training.h"

namespace trireme::launcher {
namespace {

constexpr int kCutAttempts = 6;
constexpr double kTighter = 0.95;  // at least, from one to the next

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

int64_t steps_of(const TrainOptions& train, int64_t samples) {
  if (train.steps) return *train.steps;
  return divide_up(*train.epochs * samples, train.global_batch);
}

// Errors about the number of ranks belong to a field of the job.
template <typename Call>
auto at_field(const JobOptions& job, const char* field, Call call) {
  try {
    return call();
  } catch (const InvalidArgument& error) {
    throw InvalidArgument(fmt::format("{}: {}", job.places.of(field), error.what()), error.code());
  }
}

// The same for errors that open with the field that they are about.
template <typename Call>
auto at_named_field(const JobOptions& job, Call call) {
  try {
    return call();
  } catch (const InvalidArgument& error) {
    const std::string text = error.what();
    const std::string field = text.substr(0, text.find_first_of(" :"));
    if (!field.starts_with("parallel.") && !field.starts_with("train.")) throw;
    throw InvalidArgument(fmt::format("{}: {}", job.places.of(field), text), error.code());
  }
}

int virtual_stages(const ParallelOptions& parallel) {
  if (parallel.virtual_stages > 0) return static_cast<int>(parallel.virtual_stages);
  return parallel.pipeline_schedule == PipelineSchedule::kInterleaved ? 2 : 1;
}

parallel::PipelineOptions pipeline_of(const JobOptions& job) {
  return {.schedule = static_cast<parallel::PipelineSchedule>(job.parallel.pipeline_schedule),
          .virtual_stages = virtual_stages(job.parallel),
          .ends = job.parallel.stages};
}

// Throws for a pipeline that has no schedule, or with settings of one where there is none.
void check_pipeline(const JobOptions& job, const RunShape& run) {
  const int stages = run.mesh.size(parallel::Axis::kPipeline);
  const parallel::PipelineOptions pipeline = pipeline_of(job);
  if (stages > 1)
    parallel::check_schedule(pipeline.schedule,
                             {stages, run.batch.micro_batches, pipeline.virtual_stages});
  else if (!pipeline.ends.empty())
    fail(
        "parallel.stages cuts the network into {}, but parallel.pipeline is 1: remove it, or set "
        "parallel.pipeline to {}",
        pipeline.ends.size() + 1, pipeline.ends.size() + 1);
}

core::Schedule schedule_of(const JobOptions& job, int64_t total_steps) {
  core::Schedule schedule = job.schedule;
  schedule.base_lr = job.optimizer.lr;
  schedule.total_steps = total_steps;
  return schedule;
}

std::vector<core::ParameterGroup> groups_of(const JobOptions& job) {
  std::vector<core::ParameterGroup> groups;
  for (const GroupOptions& group : job.optimizer.groups)
    groups.push_back({group.match, group.weight_decay, group.lr_scale, group.frozen});
  return groups;
}

// All but the rank and its device.
parallel::TrainingOptions training_options(const JobOptions& job, const RunShape& run,
                                           int64_t arena_limit) {
  parallel::TrainingOptions options{
      .batch = run.batch,
      .eval_micro_batch = run.batch.micro_batch,
      .eval_micro_batches = static_cast<int>(run.eval_micro_batches),
      .optimizer = *job.optimizer.rule,
      .average = job.train.average,
      .schedule = schedule_of(job, run.total_steps),
      .clip_norm = job.optimizer.clip_norm,
      .groups = groups_of(job),
      .seed = job.train.seed,
      .zero = static_cast<int>(job.parallel.zero),
      .operands = operands_of(job.train.precision),
      .recompute = job.train.recompute != Recompute::kNone,
      .recomputed_blocks = job.train.recompute == Recompute::kAuto ? 0 : -1,
      .sequence = job.parallel.sequence,
      .pipeline = pipeline_of(job)};
  options.pipeline.memory_limit = arena_limit;
  return options;
}

// The fewest of a stage's blocks with which what `plan_with` makes takes at most so many bytes;
// all, if that does not suffice.
int fewest_blocks(const std::function<core::SessionPlan(int)>& plan_with, core::DeviceKind device,
                  int64_t arena_limit) {
  const auto fits = [&](int blocks) {
    return memory_use(plan_with(blocks), device).arena_bytes <= arena_limit;
  };
  const core::SessionPlan none = plan_with(0);
  if (memory_use(none, device).arena_bytes <= arena_limit) return 0;
  const auto counts = std::views::iota(1, std::max(none.blocks, 1));
  const auto fewest = std::ranges::partition_point(counts, [&](int count) { return !fits(count); });
  return 1 + static_cast<int>(fewest - counts.begin());
}

// A network in which nothing can be gained, for those who ask for it.
void check_recomputation(const JobOptions& job, const core::SessionPlan& plan,
                         const RunShape& run) {
  if (job.train.recompute == Recompute::kFull && plan.blocks == 0 &&
      run.mesh.size(parallel::Axis::kPipeline) == 1)
    fail(
        "{}: train.recompute (FULL): computing layers of this network again would save no memory; "
        "leave it NONE",
        job.places.of("train.recompute"));
}

parallel::BatchSplit split(const JobOptions& job, int ranks) {
  const TrainOptions& train = job.train;
  if (train.determinism == Determinism::kLayout)
    return at_named_field(job, [&] {
      return parallel::split_leaves(train.global_batch, train.micro_batch, ranks,
                                    static_cast<int>(train.virtual_shards),
                                    static_cast<int>(job.parallel.zero));
    });
  at_field(job, "train.global_batch",
           [&] { return parallel::split_batch(train.global_batch, 0, ranks); });
  return at_field(job, "train.micro_batch", [&] {
    return parallel::split_batch(train.global_batch, train.micro_batch, ranks);
  });
}

}  // namespace

double RunShape::epoch(int64_t steps, int64_t train_samples) const {
  return static_cast<double>(steps) * static_cast<double>(batch.global_batch) /
         static_cast<double>(train_samples);
}

RunShape shape_run(const JobOptions& job, const DataShapes& data, int world) {
  const parallel::Layout layout{.data = static_cast<int>(job.parallel.data),
                                .tensor = static_cast<int>(job.parallel.tensor),
                                .pipeline = static_cast<int>(job.parallel.pipeline)};
  const auto mesh = at_field(job, "parallel", [&] { return parallel::Mesh(layout, world); });
  const int ranks = mesh.size(parallel::Axis::kData);
  RunShape run{.mesh = mesh, .batch = split(job, ranks)};
  const parallel::BatchSplit& batch = run.batch;
  at_named_field(job, [&] { check_pipeline(job, run); });
  run.total_steps = steps_of(job.train, data.train_samples);
  if (data.eval_samples > 0) {
    const int64_t an_epoch = divide_up(data.train_samples, batch.global_batch);
    run.eval_every_steps = job.train.eval_every_steps ? job.train.eval_every_steps : an_epoch;
    run.eval_micro_batches = divide_up(data.eval_samples, batch.micro_batch * ranks);
  }
  return run;
}

core::Graph build_graph(const JobOptions& job, const DataShapes& data, int64_t micro_batch,
                        bool training, const models::ModelFactories& factories) {
  return models::build_model(job.model,
                             {.batch = micro_batch,
                              .sample = data.sample,
                              .classes = data.classes,
                              .training = training,
                              .sample_type = data.sample_type,
                              .labels = data.labels},
                             factories);
}

void check_metrics(const JobOptions& job, const core::Graph& network) {
  std::vector<std::string> names{"loss"};
  for (const core::NamedSum& metric : network.metrics()) names.push_back(metric.name);
  const auto check = [&](const char* field, const std::string& name) {
    if (std::ranges::find(names, name) == names.end())
      fail("{}: {} (\"{}\") is nothing that this network is judged by; it has: {}",
           job.places.of(field), field, name, fmt::join(names, ", "));
  };
  if (job.train.early_stop) check("train.early_stop.metric", job.train.early_stop->metric);
  check("checkpoint.best_metric", job.checkpoint.best_metric);
}

int64_t arena_limit(const JobOptions& job, int64_t device_bytes) {
  const int64_t stated = job.train.memory_limit_mib << 20;
  return stated > 0 && device_bytes > 0 ? std::min(stated, device_bytes)
                                        : std::max(stated, device_bytes);
}

MemoryLimit memory_limit(int64_t arena_limit, const JobOptions& job, const DataShapes& data,
                         const RunShape& run, core::DeviceKind device,
                         const models::ModelFactories& factories) {
  MemoryLimit limit{.arenas = arena_limit, .estimates = arena_limit};
  const int stages = run.mesh.size(parallel::Axis::kPipeline);
  if (arena_limit == 0 || stages == 1 || !job.parallel.stages.empty()) return limit;
  // Of AUTO's, whose cut leaves blocks as they are if it can.
  const int all = job.train.recompute == Recompute::kAuto ? std::numeric_limits<int>::max() : -1;
  // What the fullest stage takes with all blocks computed again that may be.
  const auto most = [&] {
    int64_t bytes = 0;
    for (int rank = 0; rank < run.mesh.world(); rank += run.mesh.world() / stages)
      bytes = std::max(
          bytes,
          memory_use(plan_recomputing(all, job, data, run, rank, device, factories, limit), device)
              .arena_bytes);
    return bytes;
  };
  MemoryLimit best = limit;
  int64_t least = std::numeric_limits<int64_t>::max();
  for (int attempt = 0; attempt < kCutAttempts && least > arena_limit; ++attempt) {
    const int64_t bytes = most();
    if (bytes < least) {
      least = bytes;
      best = limit;
    }
    const double ratio = static_cast<double>(arena_limit) / static_cast<double>(bytes);
    limit.estimates = std::max<int64_t>(
        1, std::llround(static_cast<double>(limit.estimates) * std::min(ratio, kTighter)));
  }
  return best;
}

core::SessionPlan plan_recomputing(int blocks, const JobOptions& job, const DataShapes& data,
                                   const RunShape& run, int rank, core::DeviceKind device,
                                   const models::ModelFactories& factories,
                                   const MemoryLimit& limit) {
  std::optional<core::Graph> eval;
  if (data.eval_samples > 0) {
    eval = build_graph(job, data, run.batch.micro_batch, false, factories);
    check_metrics(job, *eval);
  }
  parallel::TrainingOptions options = training_options(job, run, limit.estimates);
  options.rank = rank;
  options.device = device;
  options.recomputed_blocks = blocks;
  return at_named_field(job, [&] {
    return parallel::plan_training(build_graph(job, data, run.batch.micro_batch, true, factories),
                                   std::move(eval), run.mesh, options);
  });
}

core::SessionPlan plan_session(const JobOptions& job, const DataShapes& data, const RunShape& run,
                               int rank, core::DeviceKind device,
                               const models::ModelFactories& factories, const MemoryLimit& limit) {
  const auto plan_for = [&](int one, int blocks) {
    return plan_recomputing(blocks, job, data, run, one, device, factories, limit);
  };
  if (job.train.recompute != Recompute::kAuto) {
    core::SessionPlan plan = plan_for(rank, -1);
    check_recomputation(job, plan, run);
    return plan;
  }
  if (limit.arenas == 0) return plan_for(rank, 0);
  const int first = run.mesh.first_of_stage(rank);  // none of the stage's ranks has more
  return plan_for(rank, fewest_blocks([&](int blocks) { return plan_for(first, blocks); }, device,
                                      limit.arenas));
}

MemoryUse memory_use(const core::SessionPlan& plan, core::DeviceKind device) {
  return {plan.blocks, plan.recomputed_blocks, ledger_of(plan, device).total()};
}

std::string in_words(const MemoryUse& use, const JobOptions& job, int64_t arena_limit) {
  const bool recomputes = job.train.recompute != Recompute::kNone;
  if (!recomputes && job.train.memory_limit_mib == 0) return "";
  const auto mebibytes = [](int64_t bytes) { return static_cast<double>(bytes) / (1 << 20); };
  std::string text = "keeps all activations: ";
  if (recomputes && use.blocks == 0) text = "recomputes nothing, which would free no memory: ";
  if (recomputes && use.blocks > 0)
    text = fmt::format("recomputes {} of {} block{}: ", use.recomputed_blocks, use.blocks,
                       use.blocks == 1 ? "" : "s");
  if (arena_limit == 0) return text + fmt::format("{:.1f} MiB", mebibytes(use.arena_bytes));
  return text +
         fmt::format("{:.1f} of {:.1f} MiB", mebibytes(use.arena_bytes), mebibytes(arena_limit));
}

std::string explain_stages(const JobOptions& job, const DataShapes& data, const RunShape& run,
                           const models::ModelFactories& factories, const MemoryLimit& limit) {
  if (run.mesh.size(parallel::Axis::kPipeline) == 1) return "";
  return parallel::explain_stages(build_graph(job, data, run.batch.micro_batch, true, factories),
                                  run.mesh, training_options(job, run, limit.estimates));
}

}  // namespace trireme::launcher

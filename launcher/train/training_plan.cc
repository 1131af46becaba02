#include "launcher/train/training_plan.h"

#include <algorithm>

#include "core/base/error.h"
#include "models/model.h"
#include "parallel/plan_training.h"

namespace trireme::launcher {
namespace {

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
        "parallel.stages names {} layers, but parallel.pipeline is 1: remove one or raise the "
        "other",
        pipeline.ends.size());
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
parallel::TrainingOptions training_options(const JobOptions& job, const RunShape& run) {
  return {.batch = run.batch,
          .eval_micro_batch = run.batch.micro_batch,
          .eval_micro_batches = static_cast<int>(run.eval_micro_batches),
          .optimizer = *job.optimizer.rule,
          .schedule = schedule_of(job, run.total_steps),
          .clip_norm = job.optimizer.clip_norm,
          .groups = groups_of(job),
          .seed = job.train.seed,
          .zero = static_cast<int>(job.parallel.zero),
          .recompute = job.train.recompute == Recompute::kFull,
          .sequence = job.parallel.sequence,
          .pipeline = pipeline_of(job)};
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

core::SessionPlan plan_session(const JobOptions& job, const DataShapes& data, const RunShape& run,
                               int rank, core::DeviceKind device,
                               const models::ModelFactories& factories) {
  std::optional<core::Graph> eval;
  if (data.eval_samples > 0) {
    eval = build_graph(job, data, run.batch.micro_batch, false, factories);
    check_metrics(job, *eval);
  }
  parallel::TrainingOptions options = training_options(job, run);
  options.rank = rank;
  options.device = device;
  return at_named_field(job, [&] {
    return parallel::plan_training(build_graph(job, data, run.batch.micro_batch, true, factories),
                                   std::move(eval), run.mesh, options);
  });
}

std::string explain_stages(const JobOptions& job, const DataShapes& data, const RunShape& run,
                           const models::ModelFactories& factories) {
  if (run.mesh.size(parallel::Axis::kPipeline) == 1) return "";
  return parallel::explain_stages(build_graph(job, data, run.batch.micro_batch, true, factories),
                                  run.mesh, training_options(job, run));
}

}  // namespace trireme::launcher

#include "launcher/job/binding.h"

#include "launcher/job/binding_custom.h"
#include "launcher/job/binding_io.h"
#include "launcher/job/binding_model.h"

namespace trireme::launcher {
namespace {

template <typename E>
constexpr int number(E value) {
  return static_cast<int>(value);
}
static_assert(number(Precision::kFp16) == job::Precision::FP16);
static_assert(number(Determinism::kNone) == job::Determinism::NONE);
static_assert(number(Determinism::kLayout) == job::Determinism::LAYOUT);
static_assert(number(Recompute::kFull) == job::Recompute::FULL);
static_assert(number(Recompute::kAuto) == job::Recompute::AUTO);
static_assert(number(NonFinitePolicy::kStop) == job::NonFinite::STOP);
static_assert(number(SaveMode::kSync) == job::SaveMode::SYNC);
static_assert(number(PipelineSchedule::kGpipe) == job::PipelineSchedule::GPIPE);
static_assert(number(PipelineSchedule::kZeroBubble) == job::PipelineSchedule::ZERO_BUBBLE);

template <typename Io>
void bind_synthetic(Io& io, SyntheticOptions& o) {
  io("samples", o.samples);
  io("height", o.height);
  io("width", o.width);
  io("channels", o.channels);
  io("classes", o.classes);
  io("noise", o.noise);
  io("seed", o.seed);
  io("first_sample", o.first_sample);
}

template <typename Io>
void bind_source(Io& io, DatasetOptions& source) {
  choose<IdxOptions>(io, "idx", source, [](auto& fields, IdxOptions& o) {
    fields("images", o.images);
    fields("labels", o.labels);
    fields("classes", o.classes);
  });
  choose<SyntheticOptions>(io, "synthetic", source,
                           [](auto& fields, SyntheticOptions& o) { bind_synthetic(fields, o); });
  choose<TokensOptions>(io, "tokens", source, [](auto& fields, TokensOptions& o) {
    fields("files", o.files);
    fields("vocabulary", o.vocabulary);
    fields("context", o.context);
  });
  choose<TextOptions>(io, "text", source, [](auto& fields, TextOptions& o) {
    fields("files", o.files);
    fields("context", o.context);
  });
  choose<CustomDatasetOptions>(
      io, "custom", source, [](auto& fields, CustomDatasetOptions& o) { bind_custom(fields, o); });
}

IdxOptions* idx_of(DatasetOptions& source) { return std::get_if<IdxOptions>(&source); }
IdxOptions* idx_of(std::optional<DatasetOptions>& source) {
  return source ? idx_of(*source) : nullptr;
}

// The job states normalisation once: what is judged on is treated as what is trained on.
template <typename Io>
void bind_normalize(Io& io, DataOptions& o) {
  IdxOptions* train = idx_of(o.train);
  IdxOptions* eval = idx_of(o.eval);
  if (std::is_same_v<Io, Writer> && train == nullptr && eval == nullptr) return;  // no pixels
  Normalization normalization = train  ? train->normalization
                                : eval ? eval->normalization
                                       : Normalization{};
  io.message("normalize", [&](auto& fields) {
    fields("mean", normalization.mean);
    fields("stddev", normalization.stddev);
  });
  if (train) train->normalization = normalization;
  if (eval) eval->normalization = normalization;
}

template <typename Io>
void bind_data(Io& io, DataOptions& o) {
  io.message("train", [&](auto& source) { bind_source(source, o.train); });
  if (std::is_same_v<Io, Reader> && io.has("eval")) o.eval.emplace();
  if (o.eval) io.message("eval", [&](auto& source) { bind_source(source, *o.eval); });
  io("validation_fraction", o.validation_fraction);
  bind_normalize(io, o);
}

template <typename Io>
void bind_train(Io& io, TrainOptions& o) {
  io("global_batch", o.global_batch);
  io("micro_batch", o.micro_batch);
  io("epochs", o.epochs);
  io("steps", o.steps);
  io("seed", o.seed);
  io("precision", o.precision);
  io("determinism", o.determinism);
  io("recompute", o.recompute);
  io("memory_limit_mib", o.memory_limit_mib);
  io("initial", o.initial);
  io("eval_every_steps", o.eval_every_steps);
  io("non_finite", o.non_finite);
  io("replica_check_every_steps", o.replica_check_every_steps);
  if (std::is_same_v<Io, Reader> && io.has("average")) o.average.emplace();
  if (o.average) io.message("average", [&](auto& fields) { fields("decay", o.average->decay); });
  if (std::is_same_v<Io, Reader> && io.has("early_stop")) o.early_stop.emplace();
  if (o.early_stop)
    io.message("early_stop", [&](auto& fields) {
      fields("metric", o.early_stop->metric);
      fields("patience", o.early_stop->patience);
      fields("min_delta", o.early_stop->min_delta);
    });
  io("virtual_shards", o.virtual_shards);
  io("threads", o.threads);
}

template <typename Io>
void bind_adam(Io& io, core::AdamOptions& o) {
  io("beta1", o.beta1);
  io("beta2", o.beta2);
  io("epsilon", o.epsilon);
  io("weight_decay", o.weight_decay);
}

template <typename Io>
void bind_group(Io& io, GroupOptions& o) {
  io.place(o.place);
  io("match", o.match);
  io("weight_decay", o.weight_decay);
  io("lr_scale", o.lr_scale);
  io("frozen", o.frozen);
}

template <typename Io>
void bind_optimizer(Io& io, OptimizerOptions& o) {
  const auto is_adam = [](bool decoupled) {
    return [decoupled](const auto& rule) {
      const auto* adam = rule ? std::get_if<core::AdamOptions>(&*rule) : nullptr;
      return adam != nullptr && adam->decoupled == decoupled;
    };
  };
  const auto is_sgd = [](const auto& rule) {
    return rule && std::holds_alternative<core::SgdOptions>(*rule);
  };
  const auto adam_fields = [&](auto& fields, core::AdamOptions& adam) {
    fields("lr", o.lr);
    bind_adam(fields, adam);
  };
  io.choice("sgd", o.rule, core::SgdOptions{}, is_sgd, [&](auto& fields, core::SgdOptions& sgd) {
    fields("lr", o.lr);
    fields("momentum", sgd.momentum);
    fields("nesterov", sgd.nesterov);
    fields("weight_decay", sgd.weight_decay);
  });
  io.choice("adam", o.rule, kAdamDefaults, is_adam(false), adam_fields);
  io.choice("adamw", o.rule, kAdamWDefaults, is_adam(true), adam_fields);
  io("clip_norm", o.clip_norm);
  io.messages("group", o.groups,
              [](auto& fields, GroupOptions& group) { bind_group(fields, group); });
}

template <typename Io, typename Fields>
void bind_rule(Io& io, std::string_view name, core::Schedule& o, core::ScheduleKind kind,
               Fields fields) {
  io.choice(
      name, o, core::Schedule{.kind = kind},
      [kind](const core::Schedule& schedule) { return schedule.kind == kind; },
      [&](auto& inner, core::Schedule& schedule) {
        inner("warmup_steps", schedule.warmup_steps);
        fields(inner, schedule);
      });
}

template <typename Io>
void bind_schedule(Io& io, core::Schedule& o) {
  using Kind = core::ScheduleKind;
  const auto final_fraction = [](auto& fields, core::Schedule& schedule) {
    fields("final_fraction", schedule.final_fraction);
  };
  bind_rule(io, "constant", o, Kind::kConstant, [](auto&, core::Schedule&) {});
  bind_rule(io, "step", o, Kind::kStep, [](auto& fields, core::Schedule& schedule) {
    fields("step_size", schedule.step_size);
    fields("gamma", schedule.gamma);
  });
  bind_rule(io, "linear", o, Kind::kLinear, final_fraction);
  bind_rule(io, "cosine", o, Kind::kCosine, final_fraction);
}

template <typename Io>
void bind_parallel(Io& io, ParallelOptions& o) {
  io("data", o.data);
  io("pipeline", o.pipeline);
  io("tensor", o.tensor);
  io("zero", o.zero);
  io("pipeline_schedule", o.pipeline_schedule);
  io("virtual_stages", o.virtual_stages);
  io("stages", o.stages);
  io("sequence", o.sequence);
}

template <typename Io>
void bind_checkpoint(Io& io, CheckpointOptions& o) {
  io("every_steps", o.every_steps);
  io("keep_last", o.keep_last);
  io("keep_every", o.keep_every);
  io("keep_best", o.keep_best);
  io("best_metric", o.best_metric);
  io("mode", o.mode);
  io("max_failures", o.max_failures);
}

template <typename Io>
void bind_deadlines(Io& io, DeadlineOptions& o) {
  io("start_seconds", o.start_seconds);
  io("first_step_seconds", o.first_step_seconds);
  io("step_seconds", o.step_seconds);
  io("data_seconds", o.data_seconds);
  io("eval_seconds", o.eval_seconds);
  io("checkpoint_seconds", o.checkpoint_seconds);
}

template <typename Io>
void bind_job(Io& io, JobOptions& o) {
  io("name", o.name);
  io.message("model", [&](auto& fields) { bind_model(fields, o.model); });
  io.message("data", [&](auto& fields) { bind_data(fields, o.data); });
  io.message("train", [&](auto& fields) { bind_train(fields, o.train); });
  io.message("optimizer", [&](auto& fields) { bind_optimizer(fields, o.optimizer); });
  io.message("schedule", [&](auto& fields) { bind_schedule(fields, o.schedule); });
  io.message("parallel", [&](auto& fields) { bind_parallel(fields, o.parallel); });
  io.message("logging", [&](auto& fields) { fields("every_steps", o.logging.every_steps); });
  io.message("checkpoint", [&](auto& fields) { bind_checkpoint(fields, o.checkpoint); });
  io.message("deadlines", [&](auto& fields) { bind_deadlines(fields, o.deadlines); });
}

}  // namespace

void read_options(const job::Job& job, JobOptions& options) {
  Reader reader(job, "", options.places);
  bind_job(reader, options);
}

job::Job write_options(const JobOptions& options) {
  JobOptions copy = options;  // bind's lists serve both ways, so they take options by reference
  job::Job job;
  Writer writer(job);
  bind_job(writer, copy);
  return job;
}

}  // namespace trireme::launcher

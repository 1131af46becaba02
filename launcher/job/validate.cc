#include "launcher/job/validate.h"

#include <algorithm>
#include <filesystem>

#include "core/base/error.h"
#include "launcher/job/checker.h"
#include "launcher/job/suggest.h"
#include "parallel/batch_split.h"

namespace trireme::launcher {
namespace {

// The name of a folder that no shell or file system stumbles over.
void check_name(const JobOptions& options, Checker& check) {
  const std::string& name = options.name;
  if (!check.given("name")) return;  // taken from the file's, and made to fit
  const bool plain = std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '.' || c == '_' || c == '-';
  });
  if (name.empty() || name.size() > 100 || !plain || name.front() == '.' || name.front() == '-')
    check.error("name",
                "name ({}) names a folder: letters, digits and . _ - only, the first a letter, "
                "digit or _, at most 100",
                in_quotes(name));
}

void check_batch(const TrainOptions& train, Checker& check) {
  if (!check.required("train.global_batch", "global_batch: 128")) return;
  if (!check.count("train.global_batch", train.global_batch)) return;
  if (!check.count("train.micro_batch", train.micro_batch, 0)) return;
  if (train.micro_batch != 0 && train.global_batch % train.micro_batch != 0)
    check.error("train.micro_batch",
                "train.micro_batch ({}) must divide train.global_batch ({}); nearest: {}",
                train.micro_batch, train.global_batch,
                nearest_divisors(train.global_batch, train.micro_batch));
}

void check_virtual_shards(const TrainOptions& train, Checker& check) {
  if (!check.count("train.virtual_shards", train.virtual_shards)) return;
  if (train.determinism != Determinism::kLayout || train.global_batch < 1) return;
  try {
    parallel::split_leaves(train.global_batch, train.micro_batch, 1,
                           static_cast<int>(train.virtual_shards), 0);
  } catch (const InvalidArgument& error) {
    const std::string text = error.what();
    check.error(text.substr(0, text.find_first_of(" :")), "{}", text);
  }
}

bool judges(const JobOptions& options) {
  return options.data.eval || options.data.validation_fraction > 0;
}

void check_duration(const JobOptions& options, Checker& check) {
  const TrainOptions& train = options.train;
  if (!check.required_case("train", {"epochs", "steps"}, "epochs: 10")) return;
  if (train.epochs) check.count("train.epochs", *train.epochs);
  if (train.steps) check.count("train.steps", *train.steps);
  if (!check.count("train.eval_every_steps", train.eval_every_steps, 0)) return;
  if (train.eval_every_steps > 0 && !judges(options))
    check.error("train.eval_every_steps",
                "train.eval_every_steps ({}) needs samples to judge on: add data.eval or "
                "data.validation_fraction",
                train.eval_every_steps);
}

void check_train(const JobOptions& options, Checker& check) {
  const TrainOptions& train = options.train;
  if (!check.required("train", "train { global_batch: 128 epochs: 10 }")) return;
  check_batch(train, check);
  check_duration(options, check);
  check.count("train.memory_limit_mib", train.memory_limit_mib, 0);
  if (!train.initial.empty() && check.looks_for_files() && !std::filesystem::exists(train.initial))
    check.error("train.initial",
                "train.initial: there is no {}; it is a checkpoint's or a run's folder, or a "
                ".safetensors file",
                one_line(train.initial, 200));
  if (train.average) check.below_one("train.average.decay", train.average->decay);
  check_virtual_shards(train, check);
  check.count("train.threads", train.threads, 0);
}

void check_early_stop(const JobOptions& options, Checker& check) {
  check.count("train.replica_check_every_steps", options.train.replica_check_every_steps, 0);
  const std::optional<EarlyStopOptions>& early = options.train.early_stop;
  if (!early) return;
  check.required_count("train.early_stop.patience", early->patience, "patience: 5");
  check.not_negative("train.early_stop.min_delta", early->min_delta);
  if (!judges(options))
    check.error("train.early_stop",
                "train.early_stop needs samples to judge on: add data.eval or "
                "data.validation_fraction");
}

void check_checkpoint(const JobOptions& options, Checker& check) {
  const CheckpointOptions& checkpoint = options.checkpoint;
  check.count("checkpoint.every_steps", checkpoint.every_steps, 0);
  check.count("checkpoint.keep_last", checkpoint.keep_last);
  check.count("checkpoint.keep_every", checkpoint.keep_every, 0);
  check.count("checkpoint.max_failures", checkpoint.max_failures);
  if (check.count("checkpoint.keep_best", checkpoint.keep_best, 0) && checkpoint.keep_best > 0 &&
      !judges(options))
    check.error("checkpoint.keep_best",
                "checkpoint.keep_best ({}) needs samples to judge on: add data.eval or "
                "data.validation_fraction",
                checkpoint.keep_best);
}

void check_deadlines(const DeadlineOptions& deadlines, Checker& check) {
  check.above_zero("deadlines.start_seconds", deadlines.start_seconds);
  check.above_zero("deadlines.first_step_seconds", deadlines.first_step_seconds);
  check.not_negative("deadlines.step_seconds", deadlines.step_seconds);
  check.not_negative("deadlines.data_seconds", deadlines.data_seconds);
  check.not_negative("deadlines.eval_seconds", deadlines.eval_seconds);
  check.above_zero("deadlines.checkpoint_seconds", deadlines.checkpoint_seconds);
}

void check_sgd(const core::SgdOptions& sgd, Checker& check) {
  check.below_one("optimizer.sgd.momentum", sgd.momentum);
  check.not_negative("optimizer.sgd.weight_decay", sgd.weight_decay);
  if (sgd.nesterov && sgd.momentum == 0)
    check.error("optimizer.sgd.nesterov",
                "optimizer.sgd.nesterov needs momentum: add e.g. momentum: 0.9");
}

void check_adam(const std::string& path, const core::AdamOptions& adam, Checker& check) {
  check.below_one(path + ".beta1", adam.beta1);
  check.below_one(path + ".beta2", adam.beta2);
  check.above_zero(path + ".epsilon", adam.epsilon);
  check.not_negative(path + ".weight_decay", adam.weight_decay);
}

void check_group(const OptimizerOptions& optimizer, size_t i, Checker& check) {
  const GroupOptions& group = optimizer.groups[i];
  const std::string path = fmt::format("optimizer.group[{}]", i);
  if (!check.required(path + ".match", "match: \"*/bias\"")) return;
  if (group.match.empty())
    check.error(path + ".match", "{}.match is empty and matches nothing; write e.g. \"*/bias\"",
                path);
  for (size_t j = 0; j < i; ++j)
    if (optimizer.groups[j].match == group.match && !group.match.empty())
      return check.error(path + ".match",
                         "{}.match ({}) is that of optimizer.group[{}], which counts; remove one",
                         path, in_quotes(group.match), j);
  if (group.weight_decay) check.not_negative(path + ".weight_decay", *group.weight_decay);
  check.not_negative(path + ".lr_scale", group.lr_scale);
}

void check_optimizer(const OptimizerOptions& optimizer, Checker& check) {
  if (!check.required("optimizer", "optimizer { adamw { lr: 1e-3 } }")) return;
  for (size_t i = 0; i < optimizer.groups.size(); ++i) check_group(optimizer, i, check);
  check.not_negative("optimizer.clip_norm", optimizer.clip_norm);
  if (!check.required_case("optimizer", {"sgd", "adam", "adamw"}, "adamw { lr: 1e-3 }")) return;
  if (!optimizer.rule) return;
  const auto* sgd = std::get_if<core::SgdOptions>(&*optimizer.rule);
  const auto* adam = std::get_if<core::AdamOptions>(&*optimizer.rule);
  const std::string path = sgd               ? "optimizer.sgd"
                           : adam->decoupled ? "optimizer.adamw"
                                             : "optimizer.adam";
  if (check.required(path + ".lr", "lr: 1e-3")) check.above_zero(path + ".lr", optimizer.lr);
  if (sgd != nullptr) return check_sgd(*sgd, check);
  check_adam(path, *adam, check);
}

void check_schedule(const JobOptions& options, Checker& check) {
  const core::Schedule& schedule = options.schedule;
  if (!check.given("schedule")) return;
  if (!check.required_case("schedule", {"constant", "step", "linear", "cosine"},
                           "cosine { warmup_steps: 100 }"))
    return;
  static constexpr const char* kNames[] = {"constant", "step", "linear", "cosine"};
  const std::string path = join_path("schedule", kNames[static_cast<int>(schedule.kind)]);
  const std::string warmup = path + ".warmup_steps";
  if (check.count(warmup, schedule.warmup_steps, 0) && options.train.steps &&
      schedule.warmup_steps > 0 && schedule.warmup_steps >= *options.train.steps)
    check.error(warmup, "{} ({}) must be below train.steps ({})", warmup, schedule.warmup_steps,
                *options.train.steps);
  if (!(schedule.final_fraction >= 0 && schedule.final_fraction <= 1))
    check.error(path + ".final_fraction", "{}.final_fraction ({}) must be from 0 to 1", path,
                schedule.final_fraction);
  if (schedule.kind != core::ScheduleKind::kStep) return;
  check.required_count("schedule.step.step_size", schedule.step_size, "step_size: 1000");
  if (!(schedule.gamma > 0 && schedule.gamma <= 1))
    check.error("schedule.step.gamma", "schedule.step.gamma ({}) must be above 0 and at most 1",
                schedule.gamma);
}

void check_parallel(const JobOptions& options, Checker& check) {
  const ParallelOptions& parallel = options.parallel;
  check.count("parallel.data", parallel.data, 0);
  check.count("parallel.pipeline", parallel.pipeline, 0);
  check.count("parallel.virtual_stages", parallel.virtual_stages, 0);
  check.count("parallel.tensor", parallel.tensor, 0);
  if (parallel.zero < 0 || parallel.zero > 3)
    check.error("parallel.zero", "parallel.zero ({}) must be 0, 1, 2 or 3", parallel.zero);
  if (parallel.zero == 3 && options.train.replica_check_every_steps > 0)
    check.error("train.replica_check_every_steps",
                "train.replica_check_every_steps ({}) has nothing to compare with parallel.zero 3: "
                "no two ranks hold the same parameter",
                options.train.replica_check_every_steps);
}

// The classes of the training data and the field that states them; nothing for custom data.
std::optional<std::pair<int64_t, std::string>> data_classes(const DatasetOptions& data) {
  if (const auto* idx = std::get_if<IdxOptions>(&data))
    return std::pair(idx->classes, std::string("data.train.idx.classes"));
  if (const auto* synthetic = std::get_if<SyntheticOptions>(&data))
    return std::pair(synthetic->classes, std::string("data.train.synthetic.classes"));
  return std::nullopt;
}

// Labels that the network has no output for.
void check_classes(const JobOptions& options, Checker& check) {
  const auto* mlp = std::get_if<models::MlpOptions>(&options.model.network);
  const auto* lenet5 = std::get_if<models::Lenet5Options>(&options.model.network);
  const auto labels = data_classes(options.data.train);
  if (!labels || !check.given("data.train") || (mlp == nullptr && lenet5 == nullptr)) return;
  const int64_t outputs = mlp != nullptr ? mlp->classes : lenet5->classes;
  const std::string path = mlp != nullptr ? "model.mlp.classes" : "model.lenet5.classes";
  if (outputs < labels->first && outputs >= 1)
    check.error(path, "{} ({}) must be at least {} ({})", path, outputs, labels->second,
                labels->first);
}

struct TokenSizes {
  int64_t vocabulary = 0, context = 0;
  std::string path;  // "data.train.tokens"
};

std::optional<TokenSizes> token_sizes(const DatasetOptions& data, const std::string& path) {
  if (const auto* tokens = std::get_if<TokensOptions>(&data))
    return TokenSizes{tokens->vocabulary, tokens->context, path + ".tokens"};
  if (const auto* text = std::get_if<TextOptions>(&data))
    return TokenSizes{TextOptions::kVocabulary, text->context, path + ".text"};
  return std::nullopt;
}

// Tokens for networks that read them, and such as have a place in the model.
void check_language(const JobOptions& options, const DatasetOptions& data, const std::string& path,
                    Checker& check) {
  const auto limits = models::language_limits(options.model);
  const auto tokens = token_sizes(data, path);
  const bool custom_data = std::holds_alternative<CustomDatasetOptions>(data);
  const bool custom_model =
      std::holds_alternative<models::CustomModelOptions>(options.model.network);
  if (limits && !tokens && !custom_data)
    return check.error(path, "{} has pictures and this model reads tokens: use tokens or text",
                       path);
  if (!limits && tokens && !custom_model && check.given("model"))
    return check.error(tokens->path, "{} is for models that read tokens: gpt or llama",
                       tokens->path);
  if (!limits || !tokens) return;
  const std::string model = check.given("model.gpt") ? "model.gpt" : "model.llama";
  if (tokens->context > limits->context && limits->context > 0)
    check.error(tokens->path + ".context", "{}.context ({}) must be at most {}.context ({})",
                tokens->path, tokens->context, model, limits->context);
  if (tokens->vocabulary > limits->vocabulary && limits->vocabulary > 0)
    check.error(model + ".vocabulary", "{}.vocabulary ({}) must be at least that of {} ({})", model,
                limits->vocabulary, tokens->path, tokens->vocabulary);
}

void check_language(const JobOptions& options, Checker& check) {
  for (const char* source : {"idx", "synthetic", "tokens", "text"})
    if (check.given(fmt::format("data.train.{}", source)))
      check_language(options, options.data.train, "data.train", check);
  if (options.data.eval) check_language(options, *options.data.eval, "data.eval", check);
}

}  // namespace

void validate(const JobOptions& options, Diagnostics& diagnostics, DataFiles files) {
  Checker check(options.places, diagnostics, files == DataFiles::kMustExist);
  check_name(options, check);
  validate_model(options.model, check);
  validate_data(options.data, check);
  check_classes(options, check);
  check_language(options, check);
  check_train(options, check);
  check_early_stop(options, check);
  check_optimizer(options.optimizer, check);
  check_schedule(options, check);
  check_parallel(options, check);
  check.count("logging.every_steps", options.logging.every_steps);
  check_checkpoint(options, check);
  check_deadlines(options.deadlines, check);
}

}  // namespace trireme::launcher

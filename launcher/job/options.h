// A job as plain values: what the rest of the launcher sees of a job file.
//
// Every default of a job stands once, in the initialisers below, of launcher/data/options.h and of
// models/model_options.h; the comments of job.proto state it again, and a test compares the two. A
// zero without a comment is no default: the field is required, and a job without it is refused.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/optim/optimizer.h"
#include "core/optim/schedule.h"
#include "launcher/data/options.h"
#include "launcher/job/places.h"
#include "models/model_options.h"

namespace trireme::launcher {

// Numbered as in job.proto.
enum class Precision : uint8_t { kFp32, kBf16, kFp16 };
enum class Determinism : uint8_t { kRun, kNone, kLayout };
enum class Recompute : uint8_t { kNone, kFull, kAuto };
enum class NonFinitePolicy : uint8_t { kSkip, kStop };
enum class SaveMode : uint8_t { kAsync, kSync };
enum class PipelineSchedule : uint8_t { kOneFOneB, kGpipe, kInterleaved, kZeroBubble };

// Evaluations judge by the loss, the smaller the better, or by a metric, the larger the better.
struct EarlyStopOptions {
  std::string metric = "loss";
  int64_t patience = 0;  // evaluations
  double min_delta = 0;
  bool operator==(const EarlyStopOptions&) const = default;
};

struct TrainOptions {
  int64_t global_batch = 0;
  int64_t micro_batch = 0;               // of one rank; 0: its whole share of the global batch
  std::optional<int64_t> epochs, steps;  // exactly one is given
  uint64_t seed = 1;
  Precision precision = Precision::kFp32;
  Determinism determinism = Determinism::kRun;
  Recompute recompute = Recompute::kNone;
  int64_t memory_limit_mib = 0;  // of one rank; 0: what its device has
  std::string initial;           // path of parameters to start from; empty: they are drawn
  int64_t eval_every_steps = 0;  // 0: at the end of each epoch
  NonFinitePolicy non_finite = NonFinitePolicy::kSkip;
  int64_t replica_check_every_steps = 0;  // 0: never
  std::optional<core::AverageOptions> average;
  std::optional<EarlyStopOptions> early_stop;
  int64_t virtual_shards = 8;  // of kLayout
  int64_t threads = 0;         // of a rank; 0: its share of the host's cores, or 1 with kLayout

  int64_t threads_of_rank() const {
    return threads == 0 && determinism == Determinism::kLayout ? 1 : threads;
  }
  bool operator==(const TrainOptions&) const = default;
};

// Parameters whose names match are treated differently; the first group that matches counts.
struct GroupOptions {
  std::string match;                  // "*/bias": * is any text, ? any character
  std::optional<float> weight_decay;  // else the optimizer's, and 0 for tensors of rank < 2
  float lr_scale = 1;
  bool frozen = false;
  models::SourcePlace place;
  bool operator==(const GroupOptions&) const = default;
};

// Where `adam` and `adamw` of a job start from.
inline constexpr core::AdamOptions kAdamDefaults{.weight_decay = 0, .decoupled = false};
inline constexpr core::AdamOptions kAdamWDefaults{.weight_decay = 0.01f, .decoupled = true};

struct OptimizerOptions {
  std::optional<core::OptimizerOptions> rule;  // always there once a job is loaded
  float lr = 0;                                // the base that the schedule scales
  float clip_norm = 0;                         // 0: no clipping
  std::vector<GroupOptions> groups;
  bool operator==(const OptimizerOptions&) const = default;
};

struct ParallelOptions {
  int64_t data = 0;  // 0: all ranks that are left
  int64_t pipeline = 1;
  int64_t tensor = 1;
  int64_t zero = 0;
  PipelineSchedule pipeline_schedule = PipelineSchedule::kOneFOneB;
  int64_t virtual_stages = 0;       // 0: 2 with kInterleaved, else 1
  std::vector<std::string> stages;  // the last layer or block of each; none: cut by cost
  bool sequence = false;
  bool operator==(const ParallelOptions&) const = default;
};

struct LoggingOptions {
  int64_t every_steps = 20;  // between two lines where there is no terminal
  bool operator==(const LoggingOptions&) const = default;
};

struct CheckpointOptions {
  int64_t every_steps = 0;  // 0: on signals alone
  int64_t keep_last = 3;
  int64_t keep_every = 0;  // 0: none
  int64_t keep_best = 0;
  std::string best_metric = "loss";
  SaveMode mode = SaveMode::kAsync;
  int64_t max_failures = 3;  // in a row
  bool operator==(const CheckpointOptions&) const = default;
};

// Seconds without progress.
struct DeadlineOptions {
  double start_seconds = 600;
  double first_step_seconds = 600;
  double step_seconds = 0;  // 0: ten times the median step, at least 60
  double data_seconds = 0;  // 0: as in a step
  double eval_seconds = 0;  // 0: as in a step
  double checkpoint_seconds = 1800;
  bool operator==(const DeadlineOptions&) const = default;
};

struct JobOptions {
  std::string name;  // of the run folder; the job file's stem unless given
  models::ModelOptions model;
  DataOptions data;
  TrainOptions train;
  OptimizerOptions optimizer;
  // base_lr and total_steps are 0 here: the trainer fills them in from optimizer.lr and train,
  // once it knows how many steps an epoch has.
  core::Schedule schedule;
  ParallelOptions parallel;
  LoggingOptions logging;
  CheckpointOptions checkpoint;
  DeadlineOptions deadlines;
  // To open later errors with: places.of("train.global_batch") is "jobs/a.txtpb:9:3". Not compared.
  Places places;
  bool operator==(const JobOptions&) const = default;
};

}  // namespace trireme::launcher

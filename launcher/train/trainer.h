// The training loop of one rank: batches in, steps, evaluations, checkpoints, and what rank 0
// writes down.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "comm/communicator.h"
#include "core/runtime/session.h"
#include "launcher/checkpoint/saver.h"
#include "launcher/data/open.h"
#include "launcher/job/options.h"
#include "launcher/train/deadline_clock.h"
#include "launcher/train/evaluator.h"
#include "launcher/train/judge.h"
#include "launcher/train/metrics_log.h"
#include "launcher/train/progress.h"
#include "launcher/train/run_status.h"
#include "launcher/train/training_plan.h"

namespace trireme::launcher {

// Where rank 0 reports; null on other ranks.
struct Reports {
  MetricsLog* metrics = nullptr;
  Progress* progress = nullptr;
};

// What a trainer works with; all of it outlives the trainer.
struct TrainerParts {
  comm::Communicator& group;
  core::Session& session;
  core::Device& device;
  const DataSets& data;
  const JobOptions& job;
  const RunShape& run;
  int data_rank = 0;
  Saver& saver;
  RunStatus& status;
  comm::ControlPlane& plane;
  Reports reports;
};

enum class TrainingEnd {
  kFinished,  // every step is done
  kEarly,     // train.early_stop
  kRequeue,   // a signal asked to go on later
  kStopped,   // a signal asked to stop
};

class Trainer {
 public:
  // `counters`: where to go on from.
  Trainer(TrainerParts parts, const Counters& counters);

  // Steps until one of the ends, and saves what is to be saved there.
  // Throws AgreedFailure or PeerFailed: kDiverged if updates are refused (train.non_finite) or
  // replicas differ, kInternal if checkpoints cannot be saved.
  TrainingEnd run();

  int64_t steps_done() const { return counters_.attempted_steps; }
  // Whether the state after the last step is committed.
  bool saved() const { return saved_; }

  // Called on every rank once the first step is done.
  void after_first_step(std::function<void()> call) { after_first_step_ = std::move(call); }

  static constexpr int kMaxRefusedSteps = 10;

 private:
  const core::PassResult& step(LoaderSource& source);
  void report(const core::PassResult& result, double seconds);
  bool is_overflow(const core::PassResult& result) const;
  void watch_refused(const core::PassResult& result);
  bool evaluate_if_due();
  void save();
  bool due(int64_t every) const { return every > 0 && steps_done() % every == 0; }

  TrainerParts parts_;
  Counters counters_;
  std::unique_ptr<Loader> loader_;
  std::optional<Evaluator> evaluator_;
  std::optional<EarlyStop> early_stop_;
  DeadlineClock clock_;
  bool first_step_ = true;
  bool saved_ = false;
  std::function<void()> after_first_step_;
};

}  // namespace trireme::launcher

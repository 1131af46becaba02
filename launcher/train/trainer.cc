#include "launcher/train/trainer.h"

#include <chrono>
#include <cmath>
#include <limits>

#include "core/base/error.h"
#include "launcher/base/agreement.h"
#include "launcher/data/sampler.h"
#include "launcher/train/replica_check.h"
#include "launcher/train/signals.h"
#include "launcher/train/step_counters.h"

namespace trireme::launcher {
namespace {

using Clock = std::chrono::steady_clock;

void add(core::Votes& votes, StopRequest request) {
  if (request == StopRequest::kStop) votes.stop = 1;
  if (request == StopRequest::kRequeue) votes.requeue = 1;
}

// Whichever rank asked.
StopRequest agreed_request(const core::Votes& sums) {
  if (sums.stop > 0) return StopRequest::kStop;
  return sums.requeue > 0 ? StopRequest::kRequeue : StopRequest::kNone;
}

}  // namespace

Trainer::Trainer(TrainerParts parts, const Counters& counters)
    : parts_(parts), counters_(counters), clock_(parts.job.deadlines) {
  const BatchShare share{.global_batch = parts_.run.batch.global_batch,
                         .ranks = parts_.run.mesh.size(parallel::Axis::kData),
                         .rank = parts_.data_rank,
                         .micro_batch = parts_.run.batch.micro_batch,
                         .dealt_rows =
                             parts_.run.batch.dealt ? parts_.run.batch.leaf_rows() : 0};
  const DataSets& data = parts_.data;
  loader_ = std::make_unique<Loader>(
      data.train, std::make_shared<ShuffledSampler>(parts_.job.train.seed, data.train->size()),
      share, host_memory(parts_.device));
  if (data.eval)
    evaluator_.emplace(parts_.session, parts_.device, data, parts_.run, parts_.data_rank);
  if (parts_.job.train.early_stop)
    early_stop_.emplace(*parts_.job.train.early_stop,
                        BestEvaluation{.value = counters.best_value,
                                       .step = counters.best_step,
                                       .evaluations_since = counters.evaluations_since_best});
}

TrainingEnd Trainer::run() {
  const int64_t total = parts_.run.total_steps;
  loader_->start(steps_done(), total);
  LoaderSource source(*loader_, &parts_.status);
  parts_.status.enter(comm::Phase::kFirstStep);
  if (early_stop_ && early_stop_->exhausted()) return TrainingEnd::kEarly;
  TrainingEnd end = TrainingEnd::kFinished;
  while (steps_done() < total) {
    const core::PassResult& result = step(source);
    if (const StopRequest stop = agreed_request(result.votes); stop != StopRequest::kNone) {
      stop_is_agreed();
      end = stop == StopRequest::kStop ? TrainingEnd::kStopped : TrainingEnd::kRequeue;
      break;
    }
    if (due(parts_.job.train.replica_check_every_steps))
      check_replicas(parts_.group, parts_.run.mesh, parts_.session, steps_done());
    if (evaluate_if_due()) {
      end = TrainingEnd::kEarly;
      break;
    }
    if (steps_done() < total && due(parts_.job.checkpoint.every_steps)) save();
  }
  const bool by_signal = end == TrainingEnd::kStopped || end == TrainingEnd::kRequeue;
  const bool stepped = !first_step_;
  if (stepped && (by_signal || parts_.job.checkpoint.every_steps > 0)) save();
  const InPhase checkpoint(parts_.status, comm::Phase::kCheckpoint);
  saved_ = parts_.saver.finish();
  return end;
}

const core::PassResult& Trainer::step(LoaderSource& source) {
  const Clock::time_point start = Clock::now();
  core::Votes votes = parts_.saver.votes();
  add(votes, stop_requested());
  const core::PassResult& result = parts_.session.train_step(source, votes);
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  counters_.judged = std::numeric_limits<double>::quiet_NaN();
  take_steps(parts_.session.counters(), counters_);
  if (parts_.reports.metrics) report(result, seconds);
  if (first_step_ && after_first_step_) after_first_step_();
  first_step_ = false;
  parts_.status.enter(comm::Phase::kStep);
  if (clock_.step_took(seconds)) parts_.plane.set_deadlines(clock_.deadlines());
  watch_refused(result);
  parts_.saver.advance(result.votes);
  return result;
}

void Trainer::report(const core::PassResult& result, double seconds) {
  const StepRecord record{
      .step = steps_done(),
      .epoch = parts_.run.epoch(steps_done(), parts_.data.train->size()),
      .loss = weighted_loss(parts_.session.plan().train.graph, result),
      .lr = result.step.learning_rate,
      .grad_norm = result.step.grad_norm,
      .samples_per_second = static_cast<double>(parts_.run.batch.global_batch) / seconds,
      .tokens_per_second =
          static_cast<double>(parts_.run.batch.global_batch * shapes_of(parts_.data).tokens()) /
          seconds,
      .step_ms = seconds * 1e3,
      .communication = result.communication,
      .loss_scale = parts_.session.counters().loss_scale,
      .applied = result.step.apply != 0};
  parts_.reports.metrics->write(record);
  parts_.reports.progress->step(record);
  if (const auto warning = parts_.reports.metrics->warning())
    parts_.reports.progress->note(*warning);
}

// True if evaluations have not improved for long enough.
bool Trainer::evaluate_if_due() {
  const bool last = steps_done() == parts_.run.total_steps;
  if (!evaluator_ || !(last || due(parts_.run.eval_every_steps))) return false;
  const InPhase phase(parts_.status, comm::Phase::kEval);
  EvalRecord record = evaluator_->run(&parts_.status);
  record.step = steps_done();
  record.epoch = parts_.run.epoch(steps_done(), parts_.data.train->size());
  if (parts_.reports.metrics) {
    parts_.reports.metrics->write(record);
    parts_.reports.progress->eval(record);
  }
  counters_.judged = judged_value(record, parts_.job.checkpoint.best_metric);
  if (!early_stop_) return false;
  const bool ends = early_stop_->patience_ends(record);
  const BestEvaluation& best = early_stop_->best();
  counters_.best_value = best.value;
  counters_.best_step = best.step;
  counters_.evaluations_since_best = best.evaluations_since;
  if (ends && parts_.reports.progress)
    parts_.reports.progress->note(
        fmt::format("step {}: {} has not improved since step {}; training ends early (early_stop)",
                    record.step, parts_.job.train.early_stop->metric, best.step));
  return ends;
}

void Trainer::save() {
  const InPhase phase(parts_.status, comm::Phase::kCheckpoint);
  parts_.saver.begin(counters_);
}

// Whether f16 alone may be to blame: there is room left to halve the scale, and no loss is wrong.
bool Trainer::is_overflow(const core::PassResult& result) const {
  return counters_.loss_scale_power > 0 &&
         std::isfinite(weighted_loss(parts_.session.plan().train.graph, result));
}

// Every rank sees the same sums, so all of them stop at the same step, and one speaks.
void Trainer::watch_refused(const core::PassResult& result) {
  int64_t& refused = counters_.refused_in_a_row;
  if (!result.step.apply && is_overflow(result)) {
    if (parts_.reports.progress)
      parts_.reports.progress->note(
          fmt::format("step {}: a gradient was too large for f16; the update was left out and the "
                      "loss scale is now {}",
                      steps_done(), parts_.session.counters().loss_scale));
    return;
  }
  refused = result.step.apply ? 0 : refused + 1;
  if (refused == 0) return;
  if (refused == 1 && parts_.reports.progress)
    parts_.reports.progress->note(fmt::format(
        "step {}: the loss or the gradient is not finite; the update was refused", steps_done()));
  const bool stop = parts_.job.train.non_finite == NonFinitePolicy::kStop;
  if (!stop && refused < kMaxRefusedSteps) return;
  if (!parts_.reports.progress) throw PeerFailed(ExitCode::kDiverged);
  const std::string what =
      stop
          ? fmt::format("step {}: the loss or the gradient was not finite (train.non_finite: STOP)",
                        steps_done())
          : fmt::format("steps {} to {}: the loss or the gradient was not finite {} times in a row",
                        steps_done() - refused + 1, steps_done(), refused);
  throw AgreedFailure(what + "; lower the optimizer's lr, or set optimizer.clip_norm",
                      ExitCode::kDiverged);
}

}  // namespace trireme::launcher

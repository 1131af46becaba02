#include "launcher/train/trainer.h"

#include <chrono>

#include "core/base/error.h"
#include "launcher/data/sampler.h"
#include "launcher/train/agreement.h"

namespace trireme::launcher {
namespace {

using Clock = std::chrono::steady_clock;

double weighted_loss(const core::Graph& graph, const core::PassResult& result) {
  double total = 0;
  for (size_t i = 0; i < graph.losses().size(); ++i)
    total += static_cast<double>(graph.losses()[i].weight) * result.sums[i].mean();
  return total;
}

}  // namespace

std::span<const void* const> LoaderSource::next() {
  release();
  const Batch& batch = loader_.next();
  held_ = true;
  inputs_ = {batch.features.data(), batch.labels.data(), batch.weights.data()};
  return inputs_;
}

void LoaderSource::release() {
  if (held_) loader_.release();
  held_ = false;
}

Evaluator::Evaluator(core::Session& session, core::Device& device, const DataSets& data,
                     const RunShape& run, int data_rank)
    : session_(session) {
  const int ranks = run.mesh.size(parallel::Axis::kData);
  const auto sampler = std::make_shared<SequentialSampler>(data.eval->size());
  const BatchShare share{.global_batch = run.batch.micro_batch * ranks,
                         .ranks = ranks,
                         .rank = data_rank,
                         .micro_batch = run.batch.micro_batch};
  steps_ = sampler->steps(share.global_batch);
  loader_ = std::make_unique<Loader>(data.eval, sampler, share, host_memory(device));
}

EvalRecord Evaluator::run() {
  loader_->start(0, steps_);
  LoaderSource source(*loader_);
  const core::Graph& graph = session_.plan().eval->graph;
  const core::PassResult& result = session_.evaluate(source);
  source.release();
  EvalRecord record{.loss = weighted_loss(graph, result)};
  for (size_t i = 0; i < graph.metrics().size(); ++i)
    record.metrics.emplace_back(graph.metrics()[i].name,
                                result.sums[graph.losses().size() + i].mean());
  return record;
}

Trainer::Trainer(core::Session& session, core::Device& device, const DataSets& data,
                 const RunShape& run, int data_rank, uint64_t seed, Reports reports)
    : session_(session), data_(data), run_(run), reports_(reports) {
  const BatchShare share{.global_batch = run.batch.global_batch,
                         .ranks = run.mesh.size(parallel::Axis::kData),
                         .rank = data_rank,
                         .micro_batch = run.batch.micro_batch};
  loader_ = std::make_unique<Loader>(data.train,
                                     std::make_shared<ShuffledSampler>(seed, data.train->size()),
                                     share, host_memory(device));
  if (data.eval) evaluator_.emplace(session, device, data, run, data_rank);
}

int64_t Trainer::run(const std::atomic<bool>& stop_requested) {
  loader_->start(0, run_.total_steps);
  LoaderSource source(*loader_);
  Clock::time_point before = Clock::now();
  for (int64_t done = 1; done <= run_.total_steps; ++done) {
    const core::PassResult& result = session_.train_step(source, stop_requested.load());
    const bool stop = result.stop_votes > 0;
    const Clock::time_point now = Clock::now();
    const double seconds = std::chrono::duration<double>(now - before).count();
    if (reports_.metrics) {
      const StepRecord record{
          .step = done,
          .epoch = run_.epoch(done, data_.train->size()),
          .loss = weighted_loss(session_.plan().train.graph, result),
          .lr = result.step.learning_rate,
          .grad_norm = result.step.grad_norm,
          .samples_per_second = static_cast<double>(run_.batch.global_batch) / seconds,
          .step_ms = seconds * 1e3,
          .applied = result.step.apply != 0};
      reports_.metrics->write(record);
      reports_.progress->step(record);
    }
    if (done == 1 && after_first_step_) after_first_step_();
    watch_refused(result, done);
    if (evaluator_ && (done % run_.eval_every_steps == 0 || done == run_.total_steps || stop))
      evaluate(done);
    before = Clock::now();
    if (stop) return done;
  }
  return run_.total_steps;
}

void Trainer::evaluate(int64_t steps_done) {
  EvalRecord record = evaluator_->run();
  record.step = steps_done;
  record.epoch = run_.epoch(steps_done, data_.train->size());
  if (reports_.metrics) {
    reports_.metrics->write(record);
    reports_.progress->eval(record);
  }
  last_eval_ = std::move(record);
}

// Every rank sees the same sums, so all of them stop at the same step, and one speaks.
void Trainer::watch_refused(const core::PassResult& result, int64_t step) {
  refused_ = result.step.apply ? 0 : refused_ + 1;
  if (refused_ == 1 && reports_.progress)
    reports_.progress->note(fmt::format(
        "step {}: the loss or the gradient is not finite; the update was refused", step));
  if (refused_ < kMaxRefusedSteps) return;
  if (!reports_.progress) throw PeerFailed(ExitCode::kDiverged);
  throw AgreedFailure(
      fmt::format(
          "steps {} to {}: the loss or the gradient was not finite {} times in a row; lower "
          "the optimizer's lr, or set optimizer.clip_norm",
          step - refused_ + 1, step, refused_),
      ExitCode::kDiverged);
}

}  // namespace trireme::launcher

// The training loop of one rank: batches in, steps, evaluations, and what rank 0 writes down.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <optional>

#include "core/runtime/session.h"
#include "launcher/data/loader.h"
#include "launcher/data/open.h"
#include "launcher/train/metrics_log.h"
#include "launcher/train/progress.h"
#include "launcher/train/training_plan.h"

namespace trireme::launcher {

// A loader's batches as a program's inputs: data, labels, weights.
class LoaderSource : public core::InputSource {
 public:
  explicit LoaderSource(Loader& loader) : loader_(loader) {}
  std::span<const void* const> next() override;
  void release();  // the batch held, if there is one

 private:
  Loader& loader_;
  bool held_ = false;
  std::array<const void*, 3> inputs_{};
};

// Where rank 0 reports; null on other ranks.
struct Reports {
  MetricsLog* metrics = nullptr;
  Progress* progress = nullptr;
};

// One pass over the evaluation data by all data ranks.
class Evaluator {
 public:
  Evaluator(core::Session& session, core::Device& device, const DataSets& data, const RunShape& run,
            int data_rank);
  // Global means: the weighted total of the losses, and each metric. Step and epoch are left out.
  EvalRecord run();

 private:
  core::Session& session_;
  std::unique_ptr<Loader> loader_;
  int64_t steps_ = 0;
};

class Trainer {
 public:
  // All of them outlive the trainer.
  Trainer(core::Session& session, core::Device& device, const DataSets& data, const RunShape& run,
          int data_rank, uint64_t seed, Reports reports);

  // Steps until the end or until a rank asked to stop; returns the steps done.
  // Throws AgreedFailure or PeerFailed (kDiverged) if `kMaxRefusedSteps` updates in a row were
  // refused.
  int64_t run(const std::atomic<bool>& stop_requested);

  // Called on every rank once the first step is done.
  void after_first_step(std::function<void()> call) { after_first_step_ = std::move(call); }

  // The last evaluation, if there was one.
  const std::optional<EvalRecord>& last_eval() const { return last_eval_; }

  static constexpr int kMaxRefusedSteps = 10;

 private:
  void evaluate(int64_t steps_done);
  void watch_refused(const core::PassResult& result, int64_t step);

  core::Session& session_;
  const DataSets& data_;
  const RunShape& run_;
  Reports reports_;
  std::unique_ptr<Loader> loader_;
  std::optional<Evaluator> evaluator_;
  int refused_ = 0;
  std::function<void()> after_first_step_;
  std::optional<EvalRecord> last_eval_;
};

}  // namespace trireme::launcher

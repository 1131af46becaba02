// Batches for programs, and one pass over the evaluation data.
#pragma once

#include <array>
#include <memory>

#include "core/runtime/session.h"
#include "launcher/data/loader.h"
#include "launcher/data/open.h"
#include "launcher/train/metrics_log.h"
#include "launcher/train/run_status.h"
#include "launcher/train/training_plan.h"

namespace trireme::launcher {

// A loader's batches as a program's inputs: data, labels, weights.
class LoaderSource : public core::InputSource {
 public:
  // `status`, if any, is in phase kData while a batch is waited for.
  explicit LoaderSource(Loader& loader, RunStatus* status = nullptr)
      : loader_(loader), status_(status) {}
  std::span<const void* const> next() override;
  void release();  // the batch held, if there is one

 private:
  const Batch& wait();

  Loader& loader_;
  RunStatus* status_;
  bool held_ = false;
  std::array<const void*, 3> inputs_{};
};

// The weighted total of the losses' global means.
double weighted_loss(const core::Graph& graph, const core::PassResult& result);

// One pass over the evaluation data by all data ranks.
class Evaluator {
 public:
  Evaluator(core::Session& session, core::Device& device, const DataSets& data, const RunShape& run,
            int data_rank);
  // Global means: the weighted total of the losses, and each metric; of language the perplexity,
  // exp(loss), too. Step and epoch are left out.
  EvalRecord run(RunStatus* status = nullptr);

 private:
  core::Session& session_;
  bool language_;  // samples are tokens: exp(loss) is their perplexity
  std::unique_ptr<Loader> loader_;
  int64_t steps_ = 0;
};

}  // namespace trireme::launcher

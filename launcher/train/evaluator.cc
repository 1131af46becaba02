#include "launcher/train/evaluator.h"

#include <cmath>

#include "launcher/data/sampler.h"

namespace trireme::launcher {

std::span<const void* const> LoaderSource::next() {
  release();
  const Batch& batch = wait();
  held_ = true;
  inputs_ = {batch.data(), batch.labels.data(), batch.weights.data()};
  return inputs_;
}

const Batch& LoaderSource::wait() {
  if (status_ == nullptr) return loader_.next();
  const InPhase data(*status_, comm::Phase::kData);
  return loader_.next();
}

void LoaderSource::release() {
  if (held_) loader_.release();
  held_ = false;
}

double weighted_loss(const core::Graph& graph, const core::PassResult& result) {
  double total = 0;
  for (size_t i = 0; i < graph.losses().size(); ++i)
    total += static_cast<double>(graph.losses()[i].weight) * result.sums[i].mean();
  return total;
}

Evaluator::Evaluator(core::Session& session, core::Device& device, const DataSets& data,
                     const RunShape& run, int data_rank)
    : session_(session), language_(data.eval->label_shape().rank() > 0) {
  const int ranks = run.mesh.size(parallel::Axis::kData);
  const auto sampler = std::make_shared<SequentialSampler>(data.eval->size());
  const BatchShare share{.global_batch = run.batch.micro_batch * ranks,
                         .ranks = ranks,
                         .rank = data_rank,
                         .micro_batch = run.batch.micro_batch};
  steps_ = sampler->steps(share.global_batch);
  loader_ = std::make_unique<Loader>(data.eval, sampler, share, host_memory(device));
}

EvalRecord Evaluator::run(RunStatus* status) {
  loader_->start(0, steps_);
  LoaderSource source(*loader_, status);
  const core::Graph& graph = session_.plan().eval->graph;
  const core::PassResult& result = session_.evaluate(source);
  source.release();
  EvalRecord record{.loss = weighted_loss(graph, result)};
  if (language_) record.metrics.emplace_back("perplexity", std::exp(record.loss));
  for (size_t i = 0; i < graph.metrics().size(); ++i)
    record.metrics.emplace_back(graph.metrics()[i].name,
                                result.sums[graph.losses().size() + i].mean());
  return record;
}

}  // namespace trireme::launcher

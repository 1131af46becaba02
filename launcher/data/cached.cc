#include "launcher/data/cached.h"

#include <algorithm>

namespace trireme::launcher {

// Left as they come, so that the system hands out pages when they are written.
CachedDataset::CachedDataset(std::shared_ptr<const Dataset> dataset)
    : dataset_(std::move(dataset)),
      features_(dataset_->feature_shape().elements()),
      kept_(std::make_unique_for_overwrite<float[]>(dataset_->size() * features_)),
      labels_(std::make_unique_for_overwrite<int32_t[]>(dataset_->size())),
      state_(dataset_->size()) {}

// In double: samples times features may be more than an int64_t holds.
double CachedDataset::bytes(const Dataset& dataset) {
  const double features = static_cast<double>(dataset.feature_shape().elements());
  return static_cast<double>(dataset.size()) *
         (features * sizeof(float) + sizeof(int32_t) + sizeof(State));
}

void CachedDataset::read(int64_t index, Sample out) const {
  std::atomic<State>& state = state_[index];
  float* kept = kept_.get() + index * features_;
  if (state.load(std::memory_order_acquire) == State::kKept) {
    std::copy_n(kept, features_, out.features.begin());
    out.label = labels_[index];
    return;
  }
  dataset_->read(index, out);
  // One thread keeps it; another that reads the same sample meanwhile has made its own.
  State expected = State::kEmpty;
  if (!state.compare_exchange_strong(expected, State::kBeingWritten)) return;
  std::copy_n(out.features.begin(), features_, kept);
  labels_[index] = out.label;
  state.store(State::kKept, std::memory_order_release);
}

}  // namespace trireme::launcher

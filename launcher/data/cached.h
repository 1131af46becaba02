// A dataset that keeps what it has read: for samples of f32 features and one label that cost more
// to make than to copy.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "launcher/data/dataset.h"

namespace trireme::launcher {

// Shares ownership of `dataset` and stands for it. A sample is kept when it is first read, so the
// memory (below) is used only as far as samples are. A sample that throws is not kept.
class CachedDataset : public Dataset {
 public:
  explicit CachedDataset(std::shared_ptr<const Dataset> dataset);

  // What keeping every sample takes.
  static double bytes(const Dataset& dataset);

  int64_t size() const override { return dataset_->size(); }
  core::Shape feature_shape() const override { return dataset_->feature_shape(); }
  int64_t classes() const override { return dataset_->classes(); }
  void read(int64_t index, Sample out) const override;
  std::string name() const override { return dataset_->name(); }
  std::string identity() const override { return dataset_->identity(); }

 private:
  enum class State : uint8_t { kEmpty, kBeingWritten, kKept };

  std::shared_ptr<const Dataset> dataset_;
  int64_t features_;                               // of a sample
  std::unique_ptr<float[]> kept_;                  // (size, features)
  std::unique_ptr<int32_t[]> labels_;              // (size)
  mutable std::vector<std::atomic<State>> state_;  // (size)
};

}  // namespace trireme::launcher

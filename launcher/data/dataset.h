// A dataset: samples that can be read in any order, by number.
//
// To bring your own, derive from Dataset, implement the six functions and register a factory
// (launcher/data/open.h). Shuffling, sharing out over ranks, batching and prefetching are done for
// you: a dataset knows of samples only. See examples/custom.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "core/base/shape.h"

namespace trireme::launcher {

// Where one sample goes: its row of the batch that the device copies from.
struct Sample {
  std::span<float> features;  // feature_shape().elements() values, the last dimension fastest
  int32_t& label;             // in [0, classes())
};

class Dataset {
 public:
  virtual ~Dataset() = default;

  virtual int64_t size() const = 0;  // samples, at least 1
  // The shape of one sample's features, which are f32: (H, W, C) for images.
  virtual core::Shape feature_shape() const = 0;
  virtual int64_t classes() const = 0;  // at least 1

  // Writes every feature and the label of sample `index`, 0 <= index < size(). Gives the same
  // values each time. Called from several threads at once; best without allocating.
  // Throws InvalidArgument(message, ExitCode::kBadData) if the sample cannot be read.
  virtual void read(int64_t index, Sample out) const = 0;

  // For people: the file, or what stands for it ("digits-train-images.idx.gz").
  virtual std::string name() const = 0;
  // For resuming: equal if and only if the samples are (short of forgery), wherever they lie. One
  // line.
  virtual std::string identity() const = 0;

 protected:
  Dataset() = default;
  Dataset(const Dataset&) = delete;
  Dataset& operator=(const Dataset&) = delete;
};

}  // namespace trireme::launcher

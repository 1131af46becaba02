// A dataset: samples that can be read in any order, by number.
//
// To bring your own, derive from Dataset, implement the six functions (eight for tokens) and
// register a factory
// (launcher/data/open.h). Shuffling, sharing out over ranks, batching and prefetching are done
// for you: a dataset knows of samples only. See examples/custom.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "core/base/shape.h"

namespace trireme::launcher {

// Where one sample goes: its row of the batch that the device copies from.
struct Sample {
  // feature_shape().elements() values, the last dimension fastest: `features` of an f32 dataset,
  // `tokens`, each in [0, classes()), of an i32 one. The other is empty.
  std::span<float> features;
  int32_t& label;  // the first of labels
  std::span<int32_t> tokens{};
  std::span<int32_t> labels{};  // label_shape().elements() values in [0, classes())
};

// What can be known of a dataset without reading its samples.
struct DatasetInfo {
  int64_t size = 0;
  core::Shape feature_shape;
  int64_t classes = 0;
  core::DType feature_type = core::DType::kF32;
  core::Shape label_shape;
};

class Dataset {
 public:
  virtual ~Dataset() = default;

  virtual int64_t size() const = 0;  // samples, at least 1
  // The shape of one sample's features: (H, W, C) for images, (S) for S tokens.
  virtual core::Shape feature_shape() const = 0;
  virtual int64_t classes() const = 0;  // at least 1; of tokens, the vocabulary
  // kF32, or kI32 for tokens.
  virtual core::DType feature_type() const { return core::DType::kF32; }
  // The shape of one sample's labels: () for one, (S) for one at each position.
  virtual core::Shape label_shape() const { return {}; }

  DatasetInfo info() const {
    return {size(), feature_shape(), classes(), feature_type(), label_shape()};
  }

  // Writes every feature and label of sample `index`, 0 <= index < size(). Gives the same
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

// Samples made from a seed and a number each time they are read; nothing is stored.
//
//   label(n)         = n mod classes
//   x[n, h, w, c]    = prototype[label(n), h / 4, w / 4, c] + noise * z[n, h, w, c]
//   prototype, z     standard normal: Philox at (class, patch) and at (sample, element)
//
// Patches of 4 x 4 pixels survive convolution and pooling, so every model can learn the classes.
#pragma once

#include <string>

#include "launcher/data/dataset.h"
#include "launcher/data/options.h"

namespace trireme::launcher {

class SyntheticDataset : public Dataset {
 public:
  // Throws InvalidArgument for sizes below 1, a negative or non-finite noise or first sample, or a
  // shape too large for Shape.
  explicit SyntheticDataset(const SyntheticOptions& options);

  int64_t size() const override { return options_.samples; }
  core::Shape feature_shape() const override;
  int64_t classes() const override { return options_.classes; }
  void read(int64_t index, Sample out) const override;
  std::string name() const override { return "synthetic data"; }
  std::string identity() const override;

 private:
  void add_prototype(int64_t label, std::span<float> features) const;

  SyntheticOptions options_;
  uint64_t prototype_key_;
  uint64_t noise_key_;
};

}  // namespace trireme::launcher

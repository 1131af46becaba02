// u8 pixels to normalised f32 features by a table of 256 values for each channel.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "launcher/data/options.h"

namespace trireme::launcher {

class NormalizationTable {
 public:
  // Throws InvalidArgument unless there are 0, 1 or `channels` finite means and as many positive,
  // finite standard deviations.
  NormalizationTable(const Normalization& normalization, int64_t channels);

  // Features from pixels that lie in the LAST features.size() bytes of the features' own memory,
  // so that a file can be read straight into the batch. The channel is the fastest dimension.
  void expand_in_place(std::span<float> features) const;

  static std::span<uint8_t> pixels_within(std::span<float> features);

  std::string identity() const;

 private:
  int64_t tables_;            // 1 if all channels share one, else the number of channels
  std::vector<float> table_;  // (tables, 256)
  std::string identity_;
};

}  // namespace trireme::launcher

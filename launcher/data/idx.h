// Labelled images in two IDX files, the format of MNIST and its successors.
#pragma once

#include <string>
#include <vector>

#include "launcher/data/dataset.h"
#include "launcher/data/idx_array.h"
#include "launcher/data/normalization.h"
#include "launcher/data/options.h"

namespace trireme::launcher {

// From the headers alone, in well under a millisecond. Throws as IdxDataset does, except that
// packed data and label values are not looked at.
DatasetInfo inspect(const IdxOptions& options);

class IdxDataset : public Dataset {
 public:
  // Throws InvalidArgument (kBadData) in one line that names the file for whatever IdxArray
  // refuses, for counts that disagree and for a label outside [0, classes).
  explicit IdxDataset(const IdxOptions& options);

  int64_t size() const override { return images_.header().rows(); }
  core::Shape feature_shape() const override { return feature_shape_; }
  int64_t classes() const override { return classes_; }
  void read(int64_t index, Sample out) const override;
  std::string name() const override { return images_.path(); }
  // A hash of the counts, all labels and 64 images spread over the file: a plain file and its
  // packed twin have the same.
  std::string identity() const override { return identity_; }

 private:
  std::string make_identity() const;

  IdxArray images_;
  core::Shape feature_shape_;
  int64_t classes_;
  NormalizationTable table_;
  std::vector<uint8_t> labels_;
  std::string identity_;
};

}  // namespace trireme::launcher

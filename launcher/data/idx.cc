#include "launcher/data/idx.h"

#include <xxhash.h>

#include <algorithm>
#include <array>

#include "launcher/data/errors.h"

namespace trireme::launcher {
namespace {

// (H, W, C); images of rank 3 have one channel.
core::Shape image_shape(const IdxHeader& images) {
  const std::vector<int64_t>& dims = images.dims;
  return {dims[1], dims[2], dims.size() == 4 ? dims[3] : 1};
}

void check_counts(const IdxOptions& options, int64_t images, int64_t labels) {
  if (options.classes < 1) fail("[idx] classes expects at least 1, got {}", options.classes);
  if (images != labels)
    bad_data("[idx] {}: expects {} labels, as many as {} has images, got {}", options.labels,
             images, options.images, labels);
}

std::vector<uint8_t> read_labels(const IdxOptions& options, int64_t images) {
  const IdxArray array(options.labels, kIdxLabels);
  check_counts(options, images, array.header().rows());
  std::vector<uint8_t> labels(array.header().elements());
  array.read_rows(0, labels);
  const auto bad = std::ranges::find_if(labels, [&](uint8_t x) { return x >= options.classes; });
  if (bad != labels.end())
    bad_data("[idx] {}: label {} expects a class from 0 to {}, got {}", options.labels,
             bad - labels.begin(), options.classes - 1, *bad);
  return labels;
}

}  // namespace

DatasetInfo inspect(const IdxOptions& options) {
  const IdxHeader images = read_idx_header(File(options.images), kIdxImages);
  const IdxHeader labels = read_idx_header(File(options.labels), kIdxLabels);
  check_counts(options, images.rows(), labels.rows());
  return {.size = images.rows(), .feature_shape = image_shape(images), .classes = options.classes};
}

IdxDataset::IdxDataset(const IdxOptions& options)
    : images_(options.images, kIdxImages),
      feature_shape_(image_shape(images_.header())),
      classes_(options.classes),
      table_(options.normalization, feature_shape_[2]),
      labels_(read_labels(options, size())),
      identity_(make_identity()) {}

void IdxDataset::read(int64_t index, Sample out) const {
  images_.read_rows(index, NormalizationTable::pixels_within(out.features));
  table_.expand_in_place(out.features);
  out.label = labels_[index];
}

std::string IdxDataset::make_identity() const {
  constexpr int64_t kImages = 64;
  XXH64_hash_t hash = XXH3_64bits(labels_.data(), labels_.size());
  std::vector<uint8_t> image(images_.header().row_bytes());
  for (int64_t i = 0; i < std::min(kImages, size()); ++i) {
    images_.read_rows(size() <= kImages ? i : i * ((size() - 1) / (kImages - 1)), image);
    hash = XXH3_64bits_withSeed(image.data(), image.size(), hash);
  }
  return fmt::format("idx {} x {} classes={} hash={:016x} {}", size(), feature_shape_.str(),
                     classes_, hash, table_.identity());
}

}  // namespace trireme::launcher

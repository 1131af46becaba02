#include "launcher/data/normalization.h"

#include <fmt/ranges.h>

#include <cmath>

#include "core/base/error.h"

namespace trireme::launcher {
namespace {

void check(std::string_view field, const std::vector<float>& given, int64_t channels) {
  if (given.size() > 1 && static_cast<int64_t>(given.size()) != channels)
    fail("[data] normalization.{} expects one value or one for each of {} channels, got {} values",
         field, channels, given.size());
  for (float value : given)
    if (!std::isfinite(value))
      fail("[data] normalization.{} expects finite values, got {}", field, value);
}

// Channels that are treated alike share a table: a file with millions of channels costs nothing.
int64_t tables_needed(const Normalization& normalization, int64_t channels) {
  check("mean", normalization.mean, channels);
  check("stddev", normalization.stddev, channels);
  return normalization.mean.size() > 1 || normalization.stddev.size() > 1 ? channels : 1;
}

std::vector<float> spread(const std::vector<float>& given, int64_t tables, float otherwise) {
  if (given.size() > 1) return given;
  return std::vector<float>(tables, given.empty() ? otherwise : given[0]);
}

}  // namespace

NormalizationTable::NormalizationTable(const Normalization& normalization, int64_t channels)
    : tables_(tables_needed(normalization, channels)), table_(256 * tables_) {
  const std::vector<float> mean = spread(normalization.mean, tables_, 0);
  const std::vector<float> stddev = spread(normalization.stddev, tables_, 1);
  for (int64_t c = 0; c < tables_; ++c) {
    if (!(stddev[c] > 0))
      fail("[data] normalization.stddev expects values above 0, got {}", stddev[c]);
    for (int pixel = 0; pixel < 256; ++pixel)
      table_[256 * c + pixel] =
          static_cast<float>((pixel / 255.0 - double{mean[c]}) / double{stddev[c]});
  }
  identity_ = fmt::format("mean=({}) stddev=({})", fmt::join(mean, ","), fmt::join(stddev, ","));
}

std::span<uint8_t> NormalizationTable::pixels_within(std::span<float> features) {
  const size_t count = features.size();
  return {reinterpret_cast<uint8_t*>(features.data()) + 3 * count, count};
}

// Feature i ends at byte 4 i + 3 and the pixels not yet read start at byte 3 n + i + 1: since
// i < n, no pixel is written over before it is read.
void NormalizationTable::expand_in_place(std::span<float> features) const {
  const uint8_t* pixels = pixels_within(features).data();
  const float* table = table_.data();
  float* out = features.data();
  const int64_t count = static_cast<int64_t>(features.size());
  if (tables_ == 1) {
    for (int64_t i = 0; i < count; ++i) out[i] = table[pixels[i]];
    return;
  }
  for (int64_t i = 0; i < count; i += tables_)
    for (int64_t c = 0; c < tables_; ++c) out[i + c] = table[256 * c + pixels[i + c]];
}

std::string NormalizationTable::identity() const { return identity_; }

}  // namespace trireme::launcher

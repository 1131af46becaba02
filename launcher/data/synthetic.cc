#include "launcher/data/synthetic.h"

#include <algorithm>
#include <cmath>

#include "core/base/error.h"
#include "core/random/initializer.h"
#include "core/random/philox.h"

namespace trireme::launcher {
namespace {

constexpr int64_t kPatch = 4;

// An image in patches: element e is channel e % C of patch e / C, patches in row order.
struct Patches {
  explicit Patches(const SyntheticOptions& options)
      : height(options.height),
        width(options.width),
        channels(options.channels),
        rows((height + kPatch - 1) / kPatch),
        columns((width + kPatch - 1) / kPatch) {}

  int64_t elements() const { return rows * columns * channels; }

  void add(int64_t element, float value, std::span<float> image) const {
    const int64_t patch = element / channels, c = element % channels;
    const int64_t h0 = patch / columns * kPatch, w0 = patch % columns * kPatch;
    for (int64_t h = h0; h < std::min(h0 + kPatch, height); ++h)
      for (int64_t w = w0; w < std::min(w0 + kPatch, width); ++w)
        image[(h * width + w) * channels + c] += value;
  }

  int64_t height, width, channels, rows, columns;
};

void check(const SyntheticOptions& options) {
  const std::pair<const char*, int64_t> extents[] = {{"samples", options.samples},
                                                     {"height", options.height},
                                                     {"width", options.width},
                                                     {"channels", options.channels},
                                                     {"classes", options.classes}};
  for (const auto& [field, value] : extents)
    if (value < 1) fail("[synthetic] {} expects at least 1, got {}", field, value);
  if (options.classes > INT32_MAX)
    fail("[synthetic] classes expects less than 2^31, got {}", options.classes);
  if (!(options.noise >= 0) || !std::isfinite(options.noise))
    fail("[synthetic] noise expects a finite value >= 0, got {}", options.noise);
  if (options.first_sample < 0 || options.first_sample > INT64_MAX - options.samples)
    fail("[synthetic] first_sample expects a value >= 0 with room for {} samples, got {}",
         options.samples, options.first_sample);
}

}  // namespace

SyntheticDataset::SyntheticDataset(const SyntheticOptions& options)
    : options_(options),
      prototype_key_(core::random_key(options.seed, "synthetic", "prototype")),
      noise_key_(core::random_key(options.seed, "synthetic", "noise")) {
  check(options);
  (void)feature_shape();  // throws if the product is too large
}

core::Shape SyntheticDataset::feature_shape() const {
  return {options_.height, options_.width, options_.channels};
}

void SyntheticDataset::read(int64_t index, Sample out) const {
  const int64_t number = options_.first_sample + index;
  core::fill(core::Init::normal(0, options_.noise), noise_key_, 0, out.features,
             static_cast<uint64_t>(number));
  out.label = static_cast<int32_t>(number % options_.classes);
  add_prototype(out.label, out.features);
}

void SyntheticDataset::add_prototype(int64_t label, std::span<float> features) const {
  const Patches patches(options_);
  float values[256];
  for (int64_t first = 0; first < patches.elements(); first += 256) {
    const int64_t count = std::min<int64_t>(256, patches.elements() - first);
    core::fill(core::Init::normal(0, 1), prototype_key_, first, std::span(values, count),
               static_cast<uint64_t>(label));
    for (int64_t i = 0; i < count; ++i) patches.add(first + i, values[i], features);
  }
}

std::string SyntheticDataset::identity() const {
  return fmt::format("synthetic {} x {} classes={} noise={} seed={} first_sample={}",
                     options_.samples, feature_shape().str(), options_.classes, options_.noise,
                     options_.seed, options_.first_sample);
}

}  // namespace trireme::launcher

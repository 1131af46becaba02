#include "launcher/data/split.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/base/error.h"
#include "core/random/bijection.h"
#include "core/random/philox.h"

namespace trireme::launcher {
namespace {

// Positions [first, first + size) of a shuffle of another dataset.
class View : public Dataset {
 public:
  View(std::shared_ptr<const Dataset> whole, const core::Bijection& order, int64_t first,
       int64_t size, std::string part)
      : whole_(std::move(whole)),
        order_(order),
        first_(first),
        size_(size),
        part_(std::move(part)) {}

  int64_t size() const override { return size_; }
  core::Shape feature_shape() const override { return whole_->feature_shape(); }
  int64_t classes() const override { return whole_->classes(); }
  core::DType feature_type() const override { return whole_->feature_type(); }
  core::Shape label_shape() const override { return whole_->label_shape(); }
  void read(int64_t index, Sample out) const override { whole_->read(order_(first_ + index), out); }
  std::string name() const override { return whole_->name(); }
  std::string identity() const override {
    return fmt::format("{} of {}", part_, whole_->identity());
  }

 private:
  std::shared_ptr<const Dataset> whole_;
  core::Bijection order_;
  int64_t first_;
  int64_t size_;
  std::string part_;
};

}  // namespace

int64_t validation_samples(int64_t size, double fraction) {
  return std::clamp<int64_t>(std::llround(fraction * static_cast<double>(size)), 1, size - 1);
}

DatasetSplit split(std::shared_ptr<const Dataset> whole, double fraction, uint64_t seed) {
  if (!(fraction > 0 && fraction < 1))
    fail("[data] validation_fraction expects a value between 0 and 1, got {}", fraction);
  const int64_t size = whole->size();
  if (size < 2) fail("[data] validation_fraction expects at least 2 samples, got {}", size);
  const int64_t held_back = validation_samples(size, fraction);
  const core::Bijection order(core::random_key(seed, "split", ""), 0, size);
  const auto part = [&](const char* name, int64_t first, int64_t count) {
    return std::make_shared<View>(whole, order, first, count,
                                  fmt::format("{} {} (seed {})", name, count, seed));
  };
  return {part("train", held_back, size - held_back), part("validation", 0, held_back)};
}

}  // namespace trireme::launcher

#include "launcher/data/open.h"

#include <fmt/ranges.h>

#include <vector>

#include "launcher/data/cached.h"
#include "launcher/data/errors.h"
#include "launcher/data/split.h"
#include "launcher/data/synthetic.h"
#include "launcher/data/tokens.h"

namespace trireme::launcher {
namespace {

constexpr double kMaxCacheBytes = 256.0 * (1 << 20);

// Making a sample costs some fifty times what copying it does, and the loader's thread shares the
// cores with the step: small sets are kept.
std::shared_ptr<const Dataset> make_synthetic(const SyntheticOptions& options) {
  auto dataset = std::make_shared<SyntheticDataset>(options);
  if (CachedDataset::bytes(*dataset) > kMaxCacheBytes) return dataset;
  return std::make_shared<CachedDataset>(std::move(dataset));
}

std::unique_ptr<Dataset> make_custom(const CustomDatasetOptions& options,
                                     const DatasetFactories& factories) {
  const auto found = factories.find(options.name);
  if (found != factories.end()) return found->second(options);
  std::vector<std::string> names;
  for (const auto& [name, factory] : factories) names.push_back(name);
  fail("[data] expects the name of a dataset that this program brings ({}), got \"{}\"",
       names.empty() ? "there are none" : fmt::format("{}", fmt::join(names, ", ")), options.name);
}

// A dataset of an outside project may say anything.
void check_custom(const Dataset* dataset, const std::string& name) {
  if (!dataset) fail("[data] expects a dataset from the factory of \"{}\", got none", name);
  if (dataset->size() < 1 || dataset->classes() < 1 || dataset->feature_shape().elements() < 1)
    bad_data("[data] {}: expects at least one sample, feature and class, got {} of {} and {}",
             dataset->name(), dataset->size(), dataset->feature_shape().str(), dataset->classes());
  const core::DType type = dataset->feature_type();
  if ((type != core::DType::kF32 && type != core::DType::kI32) ||
      dataset->label_shape().elements() < 1)
    bad_data("[data] {}: expects features of f32 or i32 and at least one label, got {} and {}",
             dataset->name(), core::name_of(type), dataset->label_shape().str());
}

}  // namespace

std::shared_ptr<const Dataset> open_dataset(const DatasetOptions& options,
                                            const DatasetFactories& factories) {
  if (const auto* idx = std::get_if<IdxOptions>(&options))
    return std::make_shared<IdxDataset>(*idx);
  if (const auto* synthetic = std::get_if<SyntheticOptions>(&options))
    return make_synthetic(*synthetic);
  if (const auto* tokens = std::get_if<TokensOptions>(&options))
    return std::make_shared<TokenDataset>(*tokens);
  if (const auto* text = std::get_if<TextOptions>(&options))
    return std::make_shared<TokenDataset>(*text);
  const auto& custom = std::get<CustomDatasetOptions>(options);
  std::shared_ptr<const Dataset> dataset = make_custom(custom, factories);
  check_custom(dataset.get(), custom.name);
  return dataset;
}

DatasetInfo inspect(const DatasetOptions& options, const DatasetFactories& factories) {
  if (const auto* idx = std::get_if<IdxOptions>(&options)) return inspect(*idx);
  return open_dataset(options, factories)->info();
}

void check_alike(const DatasetInfo& train, const DatasetInfo& eval) {
  if (train.feature_shape != eval.feature_shape)
    bad_data("[data] eval: expects samples of shape {}, as the training data has, got {}",
             train.feature_shape.str(), eval.feature_shape.str());
  if (train.feature_type != eval.feature_type || train.label_shape != eval.label_shape)
    bad_data(
        "[data] eval: expects samples of {} with labels {}, as the training data has, got {} "
        "with {}",
        core::name_of(train.feature_type), train.label_shape.str(),
        core::name_of(eval.feature_type), eval.label_shape.str());
  if (train.classes != eval.classes)
    bad_data("[data] eval: expects {} classes, as the training data has, got {}", train.classes,
             eval.classes);
}

DataSets open_data(const DataOptions& options, uint64_t seed, const DatasetFactories& factories) {
  std::shared_ptr<const Dataset> train = open_dataset(options.train, factories);
  if (options.eval) {
    if (options.validation_fraction != 0)
      fail("[data] expects either eval or validation_fraction, got both");
    const std::shared_ptr<const Dataset> eval = open_dataset(*options.eval, factories);
    check_alike(train->info(), eval->info());
    return {train, eval};
  }
  if (options.validation_fraction == 0) return {train, nullptr};
  const DatasetSplit parts = split(train, options.validation_fraction, seed);
  return {parts.train, parts.validation};
}

}  // namespace trireme::launcher

#include "launcher/plan/planned_job.h"

#include <fstream>
#include <optional>
#include <sstream>

#include "core/base/error.h"

namespace trireme::launcher {
namespace {

std::optional<DataShapes> stated_shapes(const JobOptions& job) {
  DataShapes shapes{.train_samples = job.train.global_batch,
                    .eval_samples = job.data.eval ? job.train.global_batch : 0,
                    .sample_type = core::DType::kI32};
  if (const auto* tokens = std::get_if<TokensOptions>(&job.data.train)) {
    shapes.sample = shapes.labels = {tokens->context};
    shapes.classes = tokens->vocabulary;
  } else if (const auto* text = std::get_if<TextOptions>(&job.data.train)) {
    shapes.sample = shapes.labels = {text->context};
    shapes.classes = TextOptions::kVocabulary;
  } else {
    return std::nullopt;
  }
  return shapes;
}

JobOptions parse(const std::filesystem::path& path, std::span<const std::string> sets) {
  std::ifstream file(path);
  std::stringstream text;
  if (!file || !(text << file.rdbuf())) return load_job(path, sets).options;  // says what is wrong
  return parse_job(text.str(), path, sets).options;
}

}  // namespace

PlannedJob load_planned_job(const std::filesystem::path& path, std::span<const std::string> sets,
                            const DatasetFactories& factories) {
  PlannedJob planned{.job = parse(path, sets), .data = {}};
  try {
    planned.data = inspect_data(planned.job.data, factories);
  } catch (const InvalidArgument& error) {
    const std::optional<DataShapes> shapes = stated_shapes(planned.job);
    if (!shapes || error.code() != ExitCode::kBadData) throw;
    planned.data = *shapes;
    planned.data_seen = false;
  }
  return planned;
}

}  // namespace trireme::launcher

#include <fmt/format.h>

#include "core/base/error.h"
#include "launcher/checkpoint/reshard.h"
#include "launcher/cli/checkpoint.h"
#include "launcher/export/export.h"
#include "launcher/export/import.h"
#include "launcher/job/load.h"
#include "launcher/job/source_text.h"
#include "launcher/train/run_folder.h"

namespace trireme::launcher {
namespace {

namespace fs = std::filesystem;

// The job that the run folder in or around which `path` lies keeps; empty if there is none.
fs::path kept_job(const fs::path& path) {
  fs::path folder = (fs::absolute(path) / "").lexically_normal().parent_path();
  for (int up = 0; up < 3 && folder.has_relative_path(); ++up, folder = folder.parent_path())
    if (fs::is_directory(folder))
      if (const fs::path job = RunFolder(folder).newest_job(); !job.empty()) return job;
  return {};
}

// Looks at no data: a model may be exported where its data are not.
LanguageModel model_of_job(const fs::path& job) {
  const auto model = language_model(parse_job(read_job_file(job), job).options.model);
  if (!model) fail("{}: its model is neither gpt nor llama", job.string());
  return *model;
}

// As a job file has it.
std::string text_of(const LanguageModel& model) {
  const bool gpt = model.family == LanguageModel::Family::kGpt2;
  std::string text = fmt::format("model {{ {} {{ layers: {} width: {} heads: {} ",
                                 name_of(model.family), model.layers, model.width, model.heads);
  if (!gpt) text += fmt::format("kv_heads: {} ", model.kv_heads);
  text += fmt::format("hidden: {} context: {} vocabulary: {} epsilon: {} ", model.hidden,
                      model.context, model.vocabulary, model.epsilon);
  if (!gpt) text += fmt::format("theta: {} ", model.theta);
  return text + fmt::format("tied: {} }} }}", model.tied);
}

}  // namespace

int reshard_checkpoint(const fs::path& checkpoint, const WriterLayout& layout,
                       const fs::path& out) {
  CheckpointReader reader(checkpoint);
  const Manifest manifest = reshard(reader, layout, out);
  fmt::print("{}: step {} in {} shard{}; `trireme checkpoint diff` finds it equal\n", out.string(),
             manifest.counters.attempted_steps, manifest.shards.size(),
             manifest.shards.size() == 1 ? "" : "s");
  return 0;
}

int export_parameters(const WeightsPlace& weights, const fs::path& job, const fs::path& out,
                      int64_t max_file_bytes) {
  const fs::path described = job.empty() ? kept_job(weights.path) : job;
  if (described.empty())
    fail("{}: lies in no run folder that keeps its job; say with --job what its model is",
         weights.path.string());
  const ExportReport report =
      export_model(open_parameters(weights), model_of_job(described), out, max_file_bytes);
  fmt::print("{}: {} tensors, {:.1f} MiB in {} file{}\n", out.string(), report.tensors,
             static_cast<double>(report.bytes) / (1 << 20), report.files,
             report.files == 1 ? "" : "s");
  return 0;
}

int import_parameters(const fs::path& folder, const fs::path& job, const fs::path& out) {
  std::optional<LanguageModel> expected;
  if (!job.empty()) expected = model_of_job(job);
  const ImportReport report = import_model(folder, out, expected);
  fmt::print("{}: {} parameters\n{}\n", out.string(), report.manifest.plan.tensors.size(),
             text_of(report.model));
  return 0;
}

}  // namespace trireme::launcher

#include "launcher/eval/saved_weights.h"

#include <algorithm>

#include "launcher/checkpoint/refuse.h"
#include "launcher/train/run_folder.h"

namespace trireme::launcher {
namespace {

namespace fs = std::filesystem;

constexpr char kNoAverage[] =
    "holds no moving average of the parameters: it was trained without train.average";

bool has_average(const CheckpointReader& checkpoint) {
  return std::ranges::any_of(checkpoint.manifest().plan.tensors, [](const TensorSpec& tensor) {
    return tensor.role == TensorRole::kAverage;
  });
}

SavedWeights in_checkpoint(const fs::path& folder, bool average) {
  SavedWeights weights{.checkpoint = std::make_unique<CheckpointReader>(folder), .file = {}};
  if (average && !has_average(*weights.checkpoint)) refuse(folder.string(), kNoAverage);
  return weights;
}

SavedWeights in_run(const RunFolder& run, bool average) {
  if (fs::exists(run.model())) {  // finished
    if (average && !fs::exists(run.average())) refuse(run.path().string(), kNoAverage);
    return {.checkpoint = nullptr, .file = average ? run.average() : run.model()};
  }
  const auto saved = run.checkpoints().list();
  if (saved.empty())
    refuse(run.path().string(), "holds neither a {} nor a model.safetensors nor checkpoints",
           kManifestName);
  return in_checkpoint(saved.front().path, average);
}

}  // namespace

SavedWeights find_weights(const WeightsPlace& place) {
  const fs::path& path = place.path;
  if (fs::is_directory(path))
    return fs::exists(path / kManifestName) ? in_checkpoint(path, place.average)
                                            : in_run(RunFolder(path), place.average);
  if (place.average)
    refuse(path.string(),
           "is one file of parameters: --average is for a run's or a checkpoint's folder; a "
           "finished run's average is the file model_average.safetensors");
  return {.checkpoint = nullptr, .file = path};
}

int find_weight(const CheckpointReader& checkpoint, const std::string& name, bool average) {
  if (average && checkpoint.manifest().counters.applied_steps > 0)
    if (const int found = checkpoint.find(name, TensorRole::kAverage); found >= 0) return found;
  return checkpoint.find(name, TensorRole::kParameter);
}

}  // namespace trireme::launcher

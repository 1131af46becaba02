#include "launcher/export/parameter_source.h"

#include <memory>

#include "launcher/checkpoint/refuse.h"
#include "launcher/export/safetensors_folder.h"
#include "launcher/train/run_folder.h"

namespace trireme::launcher {
namespace {

namespace fs = std::filesystem;

ParameterSource parameters_in_file(const fs::path& path) {
  const auto file = std::make_shared<SafetensorsFolder>(path);
  ParameterSource source{.name = path.string(), .parameters = {}, .read = {}};
  for (const auto& [name, tensor] : file->tensors()) {
    if (tensor.shape.rank() > 2)
      refuse(path.string(), "tensor '{}' is {}, expected at most two axes", name,
             tensor.shape.str());
    source.parameters.push_back({.name = name, .shape = tensor.shape});
  }
  source.read = [file, parameters = source.parameters](int i, const Box& box, float* out) {
    const Rectangle part{box.rank > 0 ? box.origin[0] : 0, box.rank > 0 ? box.extent[0] : 1,
                         box.rank > 1 ? box.origin[1] : 0, box.rank > 1 ? box.extent[1] : 1};
    file->read(parameters[i].name, part, out);
  };
  return source;
}

}  // namespace

ParameterSource parameters_in(CheckpointReader& checkpoint) {
  ParameterSource source{.name = checkpoint.folder().string(), .parameters = {}, .read = {}};
  const std::vector<TensorSpec>& saved = checkpoint.manifest().plan.tensors;
  std::vector<int> places;
  for (int i = 0; i < std::ssize(saved); ++i)
    if (saved[i].role == TensorRole::kParameter) {
      source.parameters.push_back(saved[i]);
      places.push_back(i);
    }
  source.read = [&checkpoint, places = std::move(places)](int i, const Box& box, float* out) {
    checkpoint.read(places[i], box, out);
  };
  return source;
}

ParameterSource open_parameters(const fs::path& path) {
  fs::path folder = path;
  if (!fs::is_directory(path)) return parameters_in_file(path);
  if (!fs::exists(path / kManifestName)) {
    const RunFolder run(path);
    if (fs::exists(run.model())) return parameters_in_file(run.model());
    const auto saved = run.checkpoints().list();
    if (saved.empty())
      refuse(path.string(), "holds neither a {} nor a model.safetensors nor checkpoints",
             kManifestName);
    folder = saved.front().path;
  }
  const auto reader = std::make_shared<CheckpointReader>(folder);
  ParameterSource source = parameters_in(*reader);
  source.read = [reader, read = std::move(source.read)](int i, const Box& box, float* out) {
    read(i, box, out);
  };
  return source;
}

}  // namespace trireme::launcher

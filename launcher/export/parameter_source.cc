#include "launcher/export/parameter_source.h"

#include <memory>

#include "launcher/checkpoint/refuse.h"
#include "launcher/export/safetensors_folder.h"

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

ParameterSource parameters_in(CheckpointReader& checkpoint, bool average) {
  ParameterSource source{.name = checkpoint.folder().string(), .parameters = {}, .read = {}};
  std::vector<int> places;
  for (const TensorSpec& saved : checkpoint.manifest().plan.tensors)
    if (saved.role == TensorRole::kParameter) {
      source.parameters.push_back(saved);
      places.push_back(find_weight(checkpoint, saved.name, average));
    }
  source.read = [&checkpoint, places = std::move(places)](int i, const Box& box, float* out) {
    checkpoint.read(places[i], box, out);
  };
  return source;
}

ParameterSource open_parameters(const WeightsPlace& place) {
  SavedWeights saved = find_weights(place);
  if (!saved.checkpoint) return parameters_in_file(saved.file);
  const std::shared_ptr<CheckpointReader> reader = std::move(saved.checkpoint);
  ParameterSource source = parameters_in(*reader, place.average);
  source.read = [reader, read = std::move(source.read)](int i, const Box& box, float* out) {
    read(i, box, out);
  };
  return source;
}

}  // namespace trireme::launcher

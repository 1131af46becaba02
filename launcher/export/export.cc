#include "launcher/export/export.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "launcher/base/atomic.h"
#include "launcher/checkpoint/refuse.h"
#include "launcher/checkpoint/safetensors_header.h"
#include "launcher/checkpoint/stream.h"
#include "launcher/export/model_config.h"
#include "launcher/export/safetensors_folder.h"

namespace trireme::launcher {
namespace {

int64_t bytes_of(const TensorLink& link) { return link.shape.elements() * int64_t{sizeof(float)}; }

// Where the source has the model's parameters.
std::vector<int> find_parameters(const ParameterSource& source,
                                 const std::vector<TensorSpec>& parameters) {
  std::map<std::string, int> saved;
  for (int i = 0; i < std::ssize(source.parameters); ++i) saved[source.parameters[i].name] = i;
  std::vector<int> found;
  for (const TensorSpec& parameter : parameters) {
    const auto at = saved.find(parameter.name);
    if (at == saved.end()) refuse(source.name, "lacks the model's parameter '{}'", parameter.name);
    const core::Shape& shape = source.parameters[at->second].shape;
    if (shape != parameter.shape)
      refuse(source.name, "its parameter '{}' is {}, the model's is {}", parameter.name,
             shape.str(), parameter.shape.str());
    found.push_back(at->second);
    saved.erase(at);
  }
  if (!saved.empty())
    refuse(source.name, "has the parameter '{}' beyond the model's", saved.begin()->first);
  return found;
}

// Columns of ours, which are rows of theirs.
void transpose(const std::vector<float>& from, int64_t rows, int64_t columns,
               std::vector<float>& to) {
  to.resize(from.size());
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t column = 0; column < columns; ++column)
      to[column * rows + row] = from[row * columns + column];
}

class ModelWriter {
 public:
  ModelWriter(const ParameterSource& source, const Correspondence& map)
      : source_(source), map_(map), places_(find_parameters(source, map.parameters)) {}

  void write(const std::filesystem::path& path, std::span<const TensorLink> links) {
    NewFile file(path);
    SafetensorsHeader header{.entries = {}, .metadata = {{"format", "pt"}}};
    int64_t begin = 0;
    for (const TensorLink& link : links) {
      header.entries.push_back({link.theirs, link.shape, begin, begin + bytes_of(link)});
      begin += bytes_of(link);
    }
    const std::string first = make_safetensors_header(header);
    file.write(first.data(), std::ssize(first));
    for (const TensorLink& link : links) write(file, link);
    file.flush();
  }

 private:
  // So many of their rows at a time as fit kStreamElements.
  void write(NewFile& file, const TensorLink& link) {
    const int64_t rows = link.shape.rank() == 0 ? 1 : link.shape[0];
    const int64_t across = link.shape.elements_per_row();
    const int64_t step = std::max<int64_t>(1, kStreamElements / across);
    for (int64_t row = 0; row < rows; row += step) {
      const int64_t part = std::min(step, rows - row);
      Box box = whole_box(map_.parameters[link.ours].shape);
      box.origin[0] = link.first_row + (link.transposed ? 0 : row);
      box.extent[0] = link.transposed ? across : part;
      if (link.transposed) box.origin[1] = row, box.extent[1] = part;
      values_.resize(static_cast<size_t>(part * across));
      source_.read(places_[link.ours], box, values_.data());
      if (link.transposed) {
        transpose(values_, across, part, turned_);
        std::swap(values_, turned_);
      }
      file.write(values_.data(), std::ssize(values_) * int64_t{sizeof(float)});
    }
  }

  const ParameterSource& source_;
  const Correspondence& map_;
  std::vector<int> places_;
  std::vector<float> values_, turned_;
};

// Neighbours share a file up to `most` bytes; a larger tensor has one of its own.
std::vector<std::span<const TensorLink>> split(std::span<const TensorLink> links, int64_t most) {
  std::vector<std::span<const TensorLink>> files;
  while (!links.empty()) {
    size_t count = 1;
    for (int64_t bytes = bytes_of(links[0]); count < links.size(); ++count)
      if ((bytes += bytes_of(links[count])) > most) break;
    files.push_back(links.first(count));
    links = links.subspan(count);
  }
  return files;
}

}  // namespace

ExportReport export_model(const ParameterSource& source, const LanguageModel& model,
                          const std::filesystem::path& out, int64_t max_file_bytes) {
  const Correspondence map = correspondence(model, source.name);
  ModelWriter writer(source, map);
  AtomicFolder folder(out);
  const auto files = split(map.links, max_file_bytes);
  ExportReport report{.tensors = std::ssize(map.links), .files = std::ssize(files)};
  nlohmann::ordered_json weights = nlohmann::ordered_json::object();
  for (size_t i = 0; i < files.size(); ++i) {
    const std::string name =
        files.size() == 1 ? kModelFile
                          : fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, files.size());
    writer.write(folder.temporary() / name, files[i]);
    for (const TensorLink& link : files[i]) {
      weights.push_back({link.theirs, name});
      report.bytes += bytes_of(link);
    }
  }
  if (files.size() > 1)
    write_new_file(folder.temporary() / kModelIndex,
                   nlohmann::ordered_json{{"metadata", {{"total_size", report.bytes}}},
                                          {"weight_map", std::move(weights)}}
                           .dump(2) +
                       "\n");
  write_new_file(folder.temporary() / kModelConfig, make_model_config(model));
  folder.commit();
  return report;
}

}  // namespace trireme::launcher

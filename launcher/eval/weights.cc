#include "launcher/eval/weights.h"

#include "core/base/error.h"
#include "core/runtime/session.h"
#include "launcher/checkpoint/state.h"
#include "launcher/train/run_folder.h"

namespace trireme::launcher {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void refuse(const std::string& message) {
  throw InvalidArgument(message, ExitCode::kBadCheckpoint);
}

}  // namespace

Weights::Weights(const fs::path& path) {
  fs::path file = path;
  if (fs::is_directory(path)) {
    file = RunFolder(path).model();
    const auto saved = RunFolder(path).checkpoints().list();
    if (fs::exists(path / kManifestName))
      checkpoint_ = std::make_unique<CheckpointReader>(path);
    else if (!fs::exists(file) && !saved.empty())
      checkpoint_ = std::make_unique<CheckpointReader>(saved.front().path);
  }
  if (!checkpoint_) file_ = read_safetensors(file);
}

std::string Weights::name() const {
  return checkpoint_ ? checkpoint_->folder().string() : file_.path;
}

void Weights::load(core::Session& session) {
  if (checkpoint_) return load_parameters(*checkpoint_, session);
  load_file(session.plan().layout, [&](const std::string& name, std::span<const float> values) {
    session.set_parameter(name, values);
  });
}

void Weights::load(const core::FlatLayout& layout, const Set& set) {
  if (!checkpoint_) return load_file(layout, set);
  std::vector<float> values;
  for (const core::FlatParameter& parameter : layout.parameters) {
    const int tensor = checkpoint_->find(parameter.name, TensorRole::kParameter);
    const auto& tensors = checkpoint_->manifest().plan.tensors;
    if (tensor < 0 || tensors[tensor].shape != parameter.shape)
      refuse(fmt::format("{}: the job's model has parameter '{}' {}, the checkpoint has {}",
                         checkpoint_->folder().string(), parameter.name, parameter.shape.str(),
                         tensor < 0 ? "none of that name" : tensors[tensor].shape.str()));
    values.resize(static_cast<size_t>(parameter.elements));
    checkpoint_->read(tensor, whole_box(parameter.shape), values.data());
    set(parameter.name, values);
  }
}

void Weights::load_file(const core::FlatLayout& layout, const Set& set) const {
  for (const core::FlatParameter& parameter : layout.parameters) {
    const NamedTensor& tensor = file_.find(parameter.name);
    if (tensor.shape != parameter.shape)
      refuse(fmt::format("{}: tensor '{}' has shape {}, the job's model expects {}", file_.path,
                         parameter.name, tensor.shape.str(), parameter.shape.str()));
    set(parameter.name, tensor.values);
  }
  if (file_.tensors.size() != layout.parameters.size())
    refuse(fmt::format("{}: holds {} tensors, the job's model has {} parameters", file_.path,
                       file_.tensors.size(), layout.parameters.size()));
}

}  // namespace trireme::launcher

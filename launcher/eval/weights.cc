#include "launcher/eval/weights.h"

#include <algorithm>

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

// A box of a tensor that is in memory.
void copy_box(const NamedTensor& tensor, const Box& box, float* out) {
  for_each_run(whole_box(tensor.shape), box, [&](int64_t from, int64_t to, int64_t elements) {
    std::copy_n(tensor.values.data() + from, elements, out + to);
  });
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
  check_count(session.plan().whole.size());
  fill(session, TensorRole::kParameter, [&](const TensorSpec& spec, const Box& box, float* out) {
    copy_box(find(spec.name, spec.shape), box, out);
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
  for (const core::FlatParameter& parameter : layout.parameters)
    set(parameter.name, find(parameter.name, parameter.shape).values);
  check_count(layout.parameters.size());
}

const NamedTensor& Weights::find(const std::string& name, const core::Shape& shape) const {
  const NamedTensor& tensor = file_.find(name);
  if (tensor.shape != shape)
    refuse(fmt::format("{}: tensor '{}' has shape {}, the job's model expects {}", file_.path, name,
                       tensor.shape.str(), shape.str()));
  return tensor;
}

void Weights::check_count(size_t parameters) const {
  if (file_.tensors.size() != parameters)
    refuse(fmt::format("{}: holds {} tensors, the job's model has {} parameters", file_.path,
                       file_.tensors.size(), parameters));
}

}  // namespace trireme::launcher

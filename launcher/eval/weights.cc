#include "launcher/eval/weights.h"

#include <algorithm>

#include "core/runtime/session.h"
#include "launcher/checkpoint/refuse.h"
#include "launcher/checkpoint/state.h"

namespace trireme::launcher {
namespace {

// A box of a tensor that is in memory.
void copy_box(const NamedTensor& tensor, const Box& box, float* out) {
  for_each_run(whole_box(tensor.shape), box, [&](int64_t from, int64_t to, int64_t elements) {
    std::copy_n(tensor.values.data() + from, elements, out + to);
  });
}

}  // namespace

Weights::Weights(const WeightsPlace& place) : average_(place.average) {
  SavedWeights saved = find_weights(place);
  checkpoint_ = std::move(saved.checkpoint);
  if (!checkpoint_) file_ = read_safetensors(saved.file);
}

std::string Weights::name() const {
  const std::string path = checkpoint_ ? checkpoint_->folder().string() : file_.path;
  return checkpoint_ && average_ ? path + " (average)" : path;
}

void Weights::load(core::Session& session) {
  if (!checkpoint_) check_count(session.plan().whole.size());
  fill(session, core::StateBuffer::kParameters,
       [&](const TensorSpec& spec, const Box& box, float* out) {
         if (checkpoint_)
           checkpoint_->read(find_saved(spec.name, spec.shape), box, out);
         else
           copy_box(find_in_file(spec.name, spec.shape), box, out);
       });
}

void Weights::load(const core::FlatLayout& layout, const Set& set) {
  std::vector<float> values;
  for (const core::FlatParameter& parameter : layout.parameters) {
    if (!checkpoint_) {
      set(parameter.name, find_in_file(parameter.name, parameter.shape).values);
      continue;
    }
    values.resize(static_cast<size_t>(parameter.elements));
    checkpoint_->read(find_saved(parameter.name, parameter.shape), whole_box(parameter.shape),
                      values.data());
    set(parameter.name, values);
  }
  if (!checkpoint_) check_count(layout.parameters.size());
}

int Weights::find_saved(const std::string& name, const core::Shape& shape) const {
  const int tensor = find_weight(*checkpoint_, name, average_);
  const std::vector<TensorSpec>& saved = checkpoint_->manifest().plan.tensors;
  if (tensor < 0 || saved[tensor].shape != shape)
    refuse(checkpoint_->folder().string(),
           "the job's model has parameter '{}' {}, the checkpoint has {}", name, shape.str(),
           tensor < 0 ? "none of that name" : saved[tensor].shape.str());
  return tensor;
}

const NamedTensor& Weights::find_in_file(const std::string& name, const core::Shape& shape) const {
  const NamedTensor& tensor = file_.find(name);
  if (tensor.shape != shape)
    refuse(file_.path, "tensor '{}' has shape {}, the job's model expects {}", name,
           tensor.shape.str(), shape.str());
  return tensor;
}

void Weights::check_count(size_t parameters) const {
  if (file_.tensors.size() != parameters)
    refuse(file_.path, "holds {} tensors, the job's model has {} parameters", file_.tensors.size(),
           parameters);
}

}  // namespace trireme::launcher
